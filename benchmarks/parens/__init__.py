"""Paren balancers: generated strings, the shipped model, and the original study's."""
