"""Use cases of a project folder: start one, and run all that is due in it."""
