"""What libraries import at first use, imported by this module instead, before the process gives up root: it then needs no
access to where Python and Gatepost are installed. A test watches that nothing is imported behind it.
"""

from __future__ import annotations

import encodings
import importlib
import logging
import pkgutil
from pathlib import Path

from webadmin.app import make_app
from webadmin.settings import WebSettings

NOT_HERE = ("mbcs", "oem")  # of another system


def _character_sets() -> None:
    """Every one that mail may name."""
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in NOT_HERE:
            importlib.import_module(f"encodings.{module.name}")


def _pages() -> None:
    """Read every template, and answer requests of nobody: no process is asked for anything."""
    app = make_app(WebSettings(), Path("/nonexistent"), b"-", "localhost")
    for name in app.jinja_env.list_templates():
        app.jinja_env.get_template(name)
    browser = app.test_client()
    for language in ("en", "zh"):
        for path in ("/login", "/mail/", "/nothing", "/bye"):
            browser.get(path, headers={"Accept-Language": language})
    browser.post("/login", data={"login": "x"})


_character_sets()
logging.disable(logging.CRITICAL)  # nobody has asked anything
try:
    _pages()
finally:
    logging.disable(logging.NOTSET)
