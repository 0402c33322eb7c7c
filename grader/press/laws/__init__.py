"""The laws that every exercise obeys. Tests and `python -m grader prove` hold the same ones."""
