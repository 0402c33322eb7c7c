"""Fisher information of each parameter, and the spring that it puts on it."""
