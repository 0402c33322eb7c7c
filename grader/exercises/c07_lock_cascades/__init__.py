"""Exercises of chapter 07, lock cascades."""
