"""The locking certificate: measure a model, name its locks, show them."""
