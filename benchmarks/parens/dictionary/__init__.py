"""A dictionary of what a head of the paren balancer writes, with the script that trained it."""
