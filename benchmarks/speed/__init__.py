"""How fast it is, measured against the tools people use now."""
