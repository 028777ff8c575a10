"""How Sphinx builds these pages: `make docs`."""

from typing import Any

project = "scrubbing"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "scrubbing"
html_static_path = ["_static"]
html_css_files = ["page.css"]
html_show_copyright = False

# Signatures stay short; types are in the source and in the text where they matter.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
# Defaults as values: their source text is looked up in a definition, and `scrub` takes its keywords from `Settings`.
autodoc_preserve_defaults = False
add_module_names = False
# Docstrings mark code with single backticks, as Markdown does; reStructuredText calls that the default role.
default_role = "literal"


def setup(app: Any) -> None:
    """Read docstrings in Google's style, but for attributes: there napoleon takes `Hash of it: ...` for a type."""
    from sphinx.ext.napoleon import Config, GoogleDocstring

    def read(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        if what not in ("attribute", "property", "data"):
            lines[:] = GoogleDocstring(lines, Config(), app, what, name, obj, options).lines()

    app.connect("autodoc-process-docstring", read)
