"""Run answers in a process of their own."""
