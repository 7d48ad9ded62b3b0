"""What is done in the background: the kinds of jobs, and the process that does them."""
