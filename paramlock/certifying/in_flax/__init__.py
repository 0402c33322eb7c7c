"""Measure a Flax model."""
