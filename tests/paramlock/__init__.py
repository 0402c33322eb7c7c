"""Tests of the library, room by room."""
