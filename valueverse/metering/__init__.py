"""Usage events + meters -> usage rows -> quantities per billing window."""
