"""Exercises of chapter 03, saturation."""
