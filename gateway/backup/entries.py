"""The directory's content in a backup: what the service account reads, or what slapcat writes.

By LDAP: entries.ldif holds the entries below `directory.base` without operational attributes, parents first, so that
any server takes it in; ids.tsv tells the id of each entry, which another server gives anew. Passwords are in it only
where `directory.bind` may read them, which it should not.

By slapcat, on the host of an OpenLDAP: configuration and entries with everything, ids and passwords too; slapadd makes
the same directory of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from directory.connection import Servers, close
from directory.embedded import SlapdMissing, find_slapd
from directory.ldif import write_record
from directory.profile import Profile
from directory.settings import DirectorySettings
from directory.tracker.listing import pages
from gateway.backup.manifest import BackupProblem, Folder

TOP = "directory"
ENTRIES, IDS = f"{TOP}/entries.ldif", f"{TOP}/ids.tsv"
SLAPCAT = (f"{TOP}/slapd-0.ldif", f"{TOP}/slapd-1.ldif")
SECONDS = 3_600
_FOLDER = re.compile(r"^olcDbDirectory: (.+)$", re.MULTILINE)


def copy_entries(settings: DirectorySettings, out: Folder) -> int:
    """Everything below `directory.base`, by LDAP: how many entries. Raises Deferred, OSError."""
    servers = Servers(settings)
    connection = servers.open()
    id_attribute = Profile.of(settings).id_attribute
    found: list[tuple[int, str, str, str]] = []
    try:
        for page in pages(connection, settings, "(objectClass=*)", ["*", id_attribute]):
            for dn, attributes in page:
                ids = attributes.pop(id_attribute.lower(), [])
                text = ids[0].decode("ascii", "replace") if ids else ""
                found.append((_depth(dn), dn, text, write_record(dn, attributes)))
    finally:
        close(connection)
    found.sort(key=lambda entry: entry[0])
    out.write(ENTRIES, (text.encode() for *_, text in found))
    out.write(IDS, (f"{text}\t{dn}\n".encode() for _, dn, text, _ in found))
    return len(found)


def _depth(dn: str) -> int:
    return len(re.sub(r"\\.", "", dn).split(","))


def slapcat(folder: Path, out: Folder) -> None:
    """Configuration and entries of the OpenLDAP whose slapd.d is `folder`; it may run. Raises BackupProblem, OSError."""
    for number, path in enumerate(SLAPCAT):
        target = out.create(path)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            _run(["-T", "cat", "-F", str(folder), "-n", str(number)], stdout=file.fileno())
        out.add(path)


def slapadd(top: Path, folder: Path, moved: Callable[[str], str]) -> None:
    """Make slapd.d in `folder`, and its database, of what slapcat wrote. Raises BackupProblem, OSError."""
    if folder.exists() and any(folder.iterdir()):
        raise BackupProblem(f"{folder} is not empty; a directory is not written over")
    # a folded line would hide a path
    config = moved((top / SLAPCAT[0]).read_text("utf-8").replace("\n ", ""))
    data = [Path(name) for name in _FOLDER.findall(config)]
    building = folder.with_name(f"{folder.name}.gatepost-restore")
    was_killed = building.exists()  # then what is in the databases is ours, half written
    for database in data:
        if database.exists() and any(database.iterdir()):
            if not was_killed:
                raise BackupProblem(f"{database} is not empty; a directory is not written over")
            shutil.rmtree(database)
    shutil.rmtree(building, ignore_errors=True)
    for each in (building, *data):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    _run(["-T", "add", "-F", str(building), "-n", "0"], text=config.encode())
    with (top / SLAPCAT[1]).open("rb") as file:
        _run(["-T", "add", "-q", "-F", str(building), "-n", "1"], stdin=file.fileno())
    if folder.exists():
        folder.rmdir()
    building.rename(folder)


def _run(
    arguments: list[str], *, text: bytes | None = None, stdin: int | None = None, stdout: int | None = None
) -> None:
    given: dict[str, Any] = {"stdin": stdin} if text is None else {"input": text}  # it takes one of both
    try:
        done = subprocess.run(
            [find_slapd(), *arguments],
            **given,
            stdout=stdout if stdout is not None else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            check=False,
        )
    except (SlapdMissing, subprocess.TimeoutExpired) as error:
        raise BackupProblem(str(error)) from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-1_000:]
        raise BackupProblem(f"slapd {' '.join(arguments)}: {said}")


def lines(path: Path) -> Iterator[list[str]]:
    """Fields of each line of a tsv file. Raises OSError."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n").split("\t")
