"""What makes the fake images: data sets, training methods, baselines."""
