"""Exercises of chapter 08, unlocking."""
