"""Measure a torch model."""
