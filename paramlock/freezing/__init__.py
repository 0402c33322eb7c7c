"""Freeze whole parameters, prove that a freeze holds, and undo it."""
