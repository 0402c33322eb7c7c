"""The learner's way through the labs: what is done, what comes next, and how to begin again."""
