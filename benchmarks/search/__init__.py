"""How well a search finds what was written into models, and what it finds where nothing is."""
