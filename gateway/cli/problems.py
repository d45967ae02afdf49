"""What a verb's failure looks like: one line on standard error, an exit code, never a traceback.

0 done, 1 the answer is no, 2 usage, 3 configuration, 4 temporary (try again), 5 not allowed, 70 bug.
"""

from __future__ import annotations

import os
import traceback

import click

DONE, NO, USAGE, CONFIGURATION, TEMPORARY, NOT_ALLOWED, BUG = 0, 1, 2, 3, 4, 5, 70
#: shows the traceback of a bug to a developer
SHOW_TRACEBACK = "GATEPOST_TRACEBACK"


def explain(error: Exception) -> tuple[str, int]:
    """The line for a person and the exit code."""
    from directory.model import Deferred, Refused
    from gateway.config.load import ConfigurationError
    from gateway.control.client import ControlError

    if isinstance(error, ConfigurationError):
        return str(error), CONFIGURATION
    if isinstance(error, ControlError):
        return str(error), error.code
    if isinstance(error, Deferred):
        return error.detail or error.text, TEMPORARY
    if isinstance(error, Refused):
        return error.detail or error.text, NO
    if isinstance(error, PermissionError):
        return f"{error.filename or 'not allowed'}: {error.strerror}", NOT_ALLOWED
    if isinstance(error, OSError):
        return f"{error.filename + ': ' if error.filename else ''}{error.strerror or error}", TEMPORARY
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(frame.filename)}:{frame.lineno}"
    text = f"bug: {type(error).__name__}: {error} ({where}); {SHOW_TRACEBACK}=1 shows more"
    return " ".join(text.split()), BUG


def run(group: click.Group) -> int:
    """Run the command line; the exit code."""
    try:
        group(standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE
    except Exception as error:
        text, code = explain(error)
        if code == BUG and os.environ.get(SHOW_TRACEBACK):
            traceback.print_exc()
        click.echo(f"gatepost: {text}" if code != CONFIGURATION else text, err=True)
        return code
    return DONE
