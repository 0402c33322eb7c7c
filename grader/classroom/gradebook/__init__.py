"""What is known of every hand-in, kept in a database."""
