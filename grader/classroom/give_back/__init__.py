"""What students and the LMS get."""
