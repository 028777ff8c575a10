"""Indirect object identification: a small model trained on its templates, and GPT-2 small."""
