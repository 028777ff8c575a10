"""The verdict on every hypothesis that we ship, as a page of the docs."""
