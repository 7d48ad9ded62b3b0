"""How each line of an invoice came about, in English sentences."""
