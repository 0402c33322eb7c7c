"""What a teacher makes of what an answer earned: rules, extensions, adjustments."""
