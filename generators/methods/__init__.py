"""Training methods; a new one is a module here plus one line in METHODS."""
