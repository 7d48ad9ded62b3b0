"""``python -m valueverse`` is ``valueverse``."""

from valueverse.cli import main

main()
