"""Tests of Fisher information."""
