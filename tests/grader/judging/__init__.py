"""Tests of how evidence is judged."""
