"""Tests of checks and their feedback."""
