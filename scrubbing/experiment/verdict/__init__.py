"""The verdict on a hypothesis: whether what it claims is enough, needed, and no finer than needed."""
