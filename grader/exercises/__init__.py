"""One module an exercise, named like the function that learners write. See CONTRIBUTING.md."""
