"""The names under which this host's programs hand in mail: sendmail, mailq and newaliases as links to gatepost.

A file of another mail system that stands there is kept beside it under `<name>.before-gatepost`, without its set-uid and
set-gid bits, which would let anybody fill a queue that nobody empties any more. Where dpkg knows the host's files it is
told (dpkg-divert), so that an upgrade of that package does not take the name back.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.problems import TEMPORARY
from gateway.control.client import ControlError

#: where programs look for Sendmail (FHS 3.0, 4.7.3), and its two other names
LINKS = ("usr/sbin/sendmail", "usr/lib/sendmail", "usr/bin/mailq", "usr/bin/newaliases")
#: where Debian's Sendmail keeps the program that the names lead to
OTHERS = ("usr/lib/sm.bin/sendmail", "usr/lib/sm.bin/mailq")
KEPT = ".before-gatepost"
SET_ID = stat.S_ISUID | stat.S_ISGID
DIVERT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do; `text` says it as an order."""

    text: str
    act: Callable[[], object]


def links(root: Path, program: Path) -> Iterator[Step]:
    """What is missing of the links below `root`. `program` is the gatepost command as they shall call it."""
    for name in LINKS:
        path = root / name
        if path.is_symlink() and (os.readlink(path) == str(program) or _leads_to_another(root, path)):
            continue
        if os.path.lexists(path) and not _was_ours(path):
            yield Step(f"keep {path} as {path}{KEPT}", lambda path=path: _keep(root, path))  # type: ignore[misc]
        yield Step(f"link {path} -> {program}", lambda path=path: _link(path, program))  # type: ignore[misc]


def set_id_files(root: Path) -> list[Path]:
    """Programs of another mail system below `root`, now or kept aside, that run as somebody else than who calls them."""
    paths = [path for name in (*LINKS, *OTHERS) for path in (root / name, root / f"{name}{KEPT}")]
    return [path for path in paths if path.is_file() and not path.is_symlink() and path.stat().st_mode & SET_ID]


def _was_ours(path: Path) -> bool:
    """Whether it is a link to a gatepost that lies, or lay, somewhere else."""
    return path.is_symlink() and os.path.basename(os.readlink(path)) == "gatepost"


def _leads_to_another(root: Path, path: Path) -> bool:
    """Whether the link leads to another one of LINKS, as /usr/lib/sendmail of Debian to ../sbin/sendmail."""
    target = os.path.normpath(path.parent / os.readlink(path))
    return target != str(path) and target in {str(root / name) for name in LINKS}


def _keep(root: Path, path: Path) -> None:
    kept = path.with_name(path.name + KEPT)
    if os.path.lexists(kept):
        raise ControlError(f"{kept} is there already: look which of the two is wanted and remove the other", TEMPORARY)
    divert = shutil.which("dpkg-divert")
    if divert is not None and (root / "var/lib/dpkg/status").exists():
        local = "/" + str(path.relative_to(root))
        words = [divert, "--root", str(root), "--local", "--rename", "--divert", local + KEPT, "--add", local]
        done = subprocess.run(words, capture_output=True, text=True, timeout=DIVERT_SECONDS, check=False)
        if done.returncode != 0:
            raise ControlError(f"dpkg-divert {local}: {done.stderr.strip()}", TEMPORARY)
    if os.path.lexists(path):  # --rename leaves what no package owns on some versions
        path.rename(kept)
    drop_set_id(kept)


def drop_set_id(path: Path) -> None:
    """Take the set-uid and set-gid bits of a file away."""
    if path.is_file() and not path.is_symlink():
        path.chmod(path.stat().st_mode & 0o7777 & ~SET_ID)


def _link(path: Path, program: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if _was_ours(path):
        path.unlink()
    path.symlink_to(program)
