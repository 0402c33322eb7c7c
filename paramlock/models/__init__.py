"""What every room asks of a model: its batches, paths, names and numbers, in both frameworks."""
