"""Why a change of the directory was not made, in words for the person who wanted it.

`code` is the exit code of a command: 1 the answer is no, 2 the wish is wrong, 4 not now, 5 not allowed.
"""

from __future__ import annotations


class WriteProblem(Exception):
    """Nothing was changed."""

    code = 1


#: in the message of every Conflict about an entry that is not what the actor saw: programs know it by that
CHANGED_MEANWHILE = "was changed meanwhile"


class NotThere(WriteProblem):
    """The entry, value or journal number does not exist."""


class Invalid(WriteProblem):
    """A value cannot be written: the message says what is wrong and what is allowed."""

    code = 2


class Conflict(WriteProblem):
    """Somebody else changed the entry meanwhile: look again, then try again. The message says CHANGED_MEANWHILE."""

    code = 4


class NotAllowed(WriteProblem):
    """The actor has no right to it, or the directory gives Gatepost none."""

    code = 5
