"""Open locks: which key fits, and the keys."""
