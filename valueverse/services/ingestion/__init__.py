"""Landing files into events of the lake."""
