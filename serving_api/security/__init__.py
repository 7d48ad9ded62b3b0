"""Who may ask, how often, and what must hold before anything is served."""
