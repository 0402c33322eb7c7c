"""A class's results on one lab, as a page with plots and as tables."""
