"""How Sphinx builds these pages: `make docs`."""

project = "scrubbing"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "scrubbing"
exclude_patterns = ["_build"]

myst_heading_anchors = 3

# Signatures stay short; types are in the source and in the text where they matter.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Docstrings mark code with single backticks, as Markdown does; reStructuredText calls that the default role.
default_role = "literal"
