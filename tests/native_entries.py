"""Entries of the native profile, for directories in memory."""

from __future__ import annotations

from directory.profile import Profile
from directory.raw import RawEntry

PROFILE = Profile.load("native")
BASE = "dc=example,dc=com"


def entry(rdn: str, classes: str, **attributes: str | list[str]) -> RawEntry:
    """`classes` separated by blanks; the id is `t:` and the RDN."""
    values = {name.lower(): [v.encode() for v in ([value] if isinstance(value, str) else value)]
              for name, value in attributes.items()}  # fmt: skip
    values["objectclass"] = [c.encode() for c in classes.split()]
    return RawEntry(f"t:{rdn}", f"{rdn},{BASE}", values)
