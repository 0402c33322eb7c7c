"""Tests of what exercises observe with."""
