"""Exercises of chapter 01, gradient vanishing."""
