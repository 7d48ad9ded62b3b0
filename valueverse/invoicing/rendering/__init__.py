"""Invoice documents as people and their systems read them: PDF and EN 16931 UBL XML."""
