"""What the demonstration came to, and the page that shows all of it."""
