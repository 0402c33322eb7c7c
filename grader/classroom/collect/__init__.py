"""Find what was handed in, and whose it is."""
