"""Which input every claim holds: contexts, and draws that are functions of what they are for."""
