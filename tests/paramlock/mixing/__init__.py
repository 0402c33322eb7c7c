"""Tests of fixed mixing."""
