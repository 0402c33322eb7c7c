"""Judge evidence: exercises, what they observe, which claims it bears out."""
