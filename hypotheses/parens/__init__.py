"""Hypotheses about paren balancers: features of the strings, the original study's ladder, and our model's."""
