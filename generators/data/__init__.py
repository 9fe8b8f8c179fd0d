"""Datasets: folders of images -> examples -> tensors."""
