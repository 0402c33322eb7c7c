"""Data that the course brings itself, since no package that it takes has them in a safe form."""
