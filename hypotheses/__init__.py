"""The claims we ship. Not to be confused with the `hypothesis` library, which the tests use."""
