"""Exercises of chapter 04, explicit freezing."""
