"""Exercises of chapter 02, dead ReLU."""
