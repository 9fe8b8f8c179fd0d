"""Statistics: arrays in, results out. Knows neither tables nor studies."""
