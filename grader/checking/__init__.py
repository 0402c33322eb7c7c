"""Check an answer against what is known of its exercise."""
