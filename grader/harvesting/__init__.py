"""Find answers in notebooks, and views of them."""
