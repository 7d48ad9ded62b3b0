"""Value models: author, commit, run; and the finance functions that their outputs are stated in."""
