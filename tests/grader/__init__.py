"""Tests of the grader, room by room."""
