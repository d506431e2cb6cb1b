"""Bluesky: the public feed, an account's own server, and the repository that the app exports."""
