"""Modules that libraries import at first use, imported before the first fork instead.

So every process shares them, and one that has given up root needs no access to where Python is installed.
A test watches that nothing else is imported behind a fork.
"""

from __future__ import annotations

import encodings.idna
import encodings.punycode
import importlib

#: data of the idna package, and what lmdb looks for when an environment is opened
LATE = ("idna.uts46data", "lmdb._envid")

for _name in LATE:
    try:
        importlib.import_module(_name)
    except ImportError:  # another version of the library does without
        pass

assert encodings.idna
assert encodings.punycode
