"""Laws over all exercises."""
