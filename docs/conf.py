"""Sphinx's settings for the site; `make site` writes its pages into build/site-source and builds them from there."""
import inspect
import posixpath
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from nobackprop import __version__  # noqa: E402  found by the line above

project, author, release = "nobackprop", "the authors of nobackprop", __version__
copyright = "the authors of nobackprop"
root_doc = "index"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.linkcode", "sphinx.ext.mathjax",
              "sphinx_copybutton", "site_directives"]

# pages: Markdown as code hosts read it, and notebooks with the outputs that `make notebooks` has stored
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "html_image"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_merge_streams = True
suppress_warnings = [
    "myst.header",   # a page may jump from # to ###
    "mystnb.unknown_mime_type",
    "ref.python",   # a type of a docstring, such as params, may be the name of several things
]

# the reference: docstrings in NumPy's style; a word in `backticks` is code
default_role = "code"
# scikit-learn and matplotlib (`set`) make the methods that are left out; their texts refer to places in their own pages
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource",
                           "exclude-members": "set, set_fit_request, set_partial_fit_request, set_score_request"}
autodoc_preserve_defaults = True
autodoc_typehints = "none"
autodoc_inherit_docstrings = False   # what comes from another library has its pages there
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
add_module_names = False
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 100

# everything that a page loads lies beside it
html_theme = "pydata_sphinx_theme"
html_title = "nobackprop"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["nobackprop.css", "diagram.css"]
html_js_files = [("rules-table.js", {"defer": "defer"})]
mathjax_path = "mathjax/tex-svg-full.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "local"}}
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_context = {"default_mode": "auto"}   # light or dark, as the reader's system says
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["playground-link", "theme-switcher"],
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    # a column beside the text only if there is no code in it: 120 letters of code need the room on a small desktop
    "secondary_sidebar_items": {"docs/theory/**": ["page-toc"], "docs/errata": ["page-toc"], "docs/field": ["page-toc"],
                                "docs/notation": ["page-toc"]},
}
html_sidebars = {"index": [], "source/**": [], "CHANGELOG": [], "CONTRIBUTING": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def linkcode_resolve(domain, info):
    """Return the way from a page of the reference to the code of what it describes."""
    module = sys.modules.get(info["module"])
    if domain != "py" or module is None:
        return None
    what = module
    for name in info["fullname"].split("."):
        what = getattr(what, name, None)
    what = inspect.unwrap(what.fget if isinstance(what, property) else what) if what is not None else None
    try:
        file, line = inspect.getsourcefile(what), inspect.getsourcelines(what)[1]
    except (TypeError, OSError):
        return None
    path = Path(file).resolve()
    if HERE.parent not in path.parents:
        return None
    return posixpath.join("..", "source", f"{path.relative_to(HERE.parent).as_posix()}.html#L{line}")
