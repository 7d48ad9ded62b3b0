"""Executor: compiled value models, run. ``run.run_model`` gives what ``valueverse value run`` prints."""
