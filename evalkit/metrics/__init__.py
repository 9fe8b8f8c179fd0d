"""Metrics computed from images alone."""
