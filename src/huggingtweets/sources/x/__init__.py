"""X: its archive, its API, and its objects in every vocabulary."""
