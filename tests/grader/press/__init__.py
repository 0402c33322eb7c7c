"""Tests of notebooks and releases."""
