"""Indirect object identification: claims about the published circuit of GPT-2 small, and about our small model."""
