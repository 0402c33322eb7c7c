"""Tests of what lessons use."""
