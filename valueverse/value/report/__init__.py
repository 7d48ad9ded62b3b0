"""Results of a value model as one page that a customer can read: text, tables and charts in a single HTML file."""
