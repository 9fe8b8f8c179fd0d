"""What makes the fake images: datasets, networks, training methods, the ablation."""
