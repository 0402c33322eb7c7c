"""Exercises of a teacher's own, on flocks. Tests copy them out of the course."""
