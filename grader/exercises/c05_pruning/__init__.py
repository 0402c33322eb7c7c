"""Exercises of chapter 05, pruning."""
