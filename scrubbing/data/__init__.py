"""Inputs, features of them, and which inputs agree."""
