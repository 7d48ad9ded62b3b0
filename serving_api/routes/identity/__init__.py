"""Who asks: sessions, API keys."""
