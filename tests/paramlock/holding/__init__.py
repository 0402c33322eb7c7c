"""Tests of held entries and pruning."""
