"""Pretrained networks; only imported when features are really computed, because these modules import torch."""
