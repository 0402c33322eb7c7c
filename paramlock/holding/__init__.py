"""Hold single entries of parameters: pruning, locks by score, their schedules."""
