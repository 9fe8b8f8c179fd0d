"""The participant page in a real Chromium, against the real server."""
