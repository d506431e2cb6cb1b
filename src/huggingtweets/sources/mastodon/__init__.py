"""Mastodon and its relatives: the API, the archive, and their HTML."""
