"""Remove a student from all that the grader has written, and show that it is done."""
