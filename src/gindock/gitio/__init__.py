"""Git: how it is run, the user's repository, git's own formats."""
