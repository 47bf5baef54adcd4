"""What takes too long for every run: each has a make target, and writes a page."""
