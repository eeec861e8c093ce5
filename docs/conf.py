"""Sphinx's settings for the site that `make docs` builds, of what `scripts/docs_site` lays out. Nothing is executed."""

from __future__ import annotations

import headgrid

project, author, copyright = "headgrid", "The headgrid developers", "The headgrid developers, MIT license"
version = release = headgrid.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
extensions += ["docs_site.docstrings", "docs_site.accessible"]

# Markdown and notebooks
nb_execution_mode = "off"  # they are committed with their outputs, which the tests compare with a run
nb_ipywidgets_js = {}  # otherwise every page would ask a CDN for scripts
nb_render_markdown_format = "myst"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "attrs_inline"]
myst_links_external_new_tab = False
suppress_warnings = ["mystnb.unknown_mime_type", "config.cache", "ref.python"]

# the reference
default_role = "code"
add_module_names = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # shapes such as "*axes" would be read as emphasis
nitpick_ignore_regex = [
    # types of other libraries: their pages are on other hosts, and a build asks nobody
    ("py:.*", r"(?!headgrid)(?!.*\bheadgrid\b).*"),
    # what crosses to the browser, and a variable of types
    ("py:class", r"headgrid\.(widget\.wire\.schema\.\w+|course\.sealing\.T)"),
    # how what one is given was made
    ("py:class", r"headgrid\.(hooks\.(taps\.Tap|cache\.Recording)|widget\.state\.(cells\.Cells|saved\._Item))"),
]

html_theme = "furo"
html_title = "headgrid"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_extra_path = ["_pages"]
html_show_sourcelink = html_copy_source = False
html_favicon = "_static/icon.svg"
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "a11y-light", "a11y-dark"
templates_path = ["_templates"]
