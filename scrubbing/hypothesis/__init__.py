"""The claim: variables, targets, samplers and rewrites, their legality, and their JSON form."""
