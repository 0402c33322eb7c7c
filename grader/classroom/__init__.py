"""The teacher's side: collect hand-ins, mark them, keep a gradebook, give back."""
