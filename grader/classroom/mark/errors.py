"""The error that stops a batch."""


class BatchError(Exception):
    """A batch cannot begin or go on. The message says what happened, why, and the way out."""
