"""Files of posts, whatever their format, and standard input."""
