"""Tests of the harvest."""
