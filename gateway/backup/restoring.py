"""The system out of a backup, on an empty machine or under another folder.

The order: the whole backup is verified; then the directory (where slapcat wrote it), the files that the configuration
names, the stores, the state folder by one rename, and last the configuration file, without which nothing starts.
Nothing that is there is written over. Killed at any point it is done again from the beginning: what it finds done is
left, what it finds half done is made anew.
"""

from __future__ import annotations

import grp
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from directory.model import Account, Deferred
from gateway.backup import entries
from gateway.backup.acting import acting_as
from gateway.backup.making import ACCOUNTS, WORKER
from gateway.backup.manifest import BackupProblem, Item, Manifest, digest_of, read, verify
from gateway.backup.state import QUEUE, TOP
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.files.durable import sync_folder, write_synced
from gateway.service import overview
from gateway.service.identity import Identity, identities, resolve
from gateway.store import markers
from gateway.store.errors import StoreHoldsMail
from gateway.store.sqlite import SqliteRepository
from gateway.store.stores import Stores

DONE = "restored"  # in state_dir: of which backup it is


@dataclass(slots=True)
class Restored:
    """What was done, and what a person should know."""

    configuration: str = ""
    state_dir: str = ""
    files: int = 0
    queued: int = 0
    stores: int = 0
    found_stores: int = 0
    warnings: list[str] = field(default_factory=list)


class Moves:
    """Paths that are others on the new machine: the longest one that fits counts."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._new = {old.rstrip("/"): new.rstrip("/") for old, new in pairs}
        self._new |= {
            quote(old, safe=""): quote(new, safe="") for old, new in self._new.items()
        }  # as in ldapi://%2Frun
        ordered = "|".join(re.escape(old) for old in sorted(self._new, key=len, reverse=True))
        # not within a longer path or name; behind file:// and ldapi:// a path begins, too
        begin = r"(?:(?<![\w./%-])|(?<=://))"
        self._pattern = re.compile(rf"{begin}({ordered})(?![\w.-])") if ordered else None

    def text(self, text: str) -> str:
        """A text with the paths in it changed."""
        return text if self._pattern is None else self._pattern.sub(lambda found: self._new[found[1]], text)


def restore(
    top: Path,
    moves: Moves,
    *,
    slapd: Path | None = None,
    with_queue: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Make the system of the backup `top`. Raises BackupProblem, Deferred, OSError."""
    manifest = read(top)
    say("verifying")
    if faults := verify(top, manifest):
        raise BackupProblem(f"{top}: {len(faults)} files are not as they were: {'; '.join(faults[:5])}")
    done = Restored(moves.text(manifest.configuration), moves.text(manifest.state_dir))
    configuration = Path(done.configuration)
    own = next(item for item in manifest.items if item.place == manifest.configuration)
    text = moves.text((top / own.path).read_text("utf-8"))
    if configuration.exists():
        raise BackupProblem(f"{configuration} is there already: this machine has a Gatepost")
    _make_above(configuration)
    draft = configuration.with_name(f"{configuration.name}.gatepost-restore")
    if slapd is not None:
        if manifest.directory != "slapcat":
            raise BackupProblem(f"{top} holds no directory that slapcat wrote (gatepost backup --slapd)")
        if not (slapd / "cn=config.ldif").exists():
            say("directory")
            entries.slapadd(top, slapd, moves.text)
    say("keys")
    for item in manifest.items:
        if item.path.startswith("files/") and item is not own:
            _place(top, item, Path(moves.text(item.place)), done)
            done.files += 1
    _replace(draft, text.encode())
    try:
        settings = load(draft)
    except Exception:
        draft.unlink()
        raise
    if overview.is_running(Path(settings.run_dir)):
        raise BackupProblem(f"the service runs ({settings.run_dir}); stop it first")
    state = Path(settings.state_dir)
    if not _is_restored(state, manifest):
        _check_absent(state)
        say("stores")
        _unpack_stores(top, manifest, settings, moves, done, say)
        say("state")
        _make_state(top, manifest, settings, state, moves, done, with_queue=with_queue)
    _own(draft, own, done)
    os.rename(draft, configuration)
    sync_folder(str(configuration.parent))
    return done


def _is_restored(state: Path, manifest: Manifest) -> bool:
    try:
        return (state / DONE).read_text("ascii") == _mark(manifest)
    except FileNotFoundError:
        return False


def _mark(manifest: Manifest) -> str:
    return f"{manifest.hostname} {manifest.moment:.6f}\n".encode("ascii", "replace").decode("ascii")


def _check_absent(state: Path) -> None:
    if state.exists() and any(state.iterdir()):
        raise BackupProblem(f"{state} is not empty: nothing is written over")


def _replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    write_synced(str(path), [content])


def _place(top: Path, item: Item, target: Path, done: Restored) -> None:
    """A file where it belongs; the same one may be there already."""
    if target.exists():
        if digest_of(target) != (item.size, item.sha256):
            raise BackupProblem(f"{target} is there already and is another file; move it away")
        return
    _make_above(target)
    temporary = target.with_name(f"{target.name}.gatepost-restore")
    temporary.unlink(missing_ok=True)
    _copy(top / item.path, temporary)
    _own(temporary, item, done)
    os.rename(temporary, target)
    sync_folder(str(target.parent))


def _make_above(path: Path) -> None:
    """The folders above, which everybody may pass: what is in them has a mode of its own."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        folder.chmod(0o755)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        found = os.fstat(file.fileno())
        write_synced(str(target), iter(lambda: file.read(262_144), b""), found.st_mtime)


def _own(path: Path, item: Item, done: Restored) -> None:
    """Mode as it was; owner too where we are root and there is such a one."""
    os.chmod(path, item.mode & 0o777)
    if os.geteuid() != 0 or not item.owner:
        return
    try:
        owner = resolve(item.owner)
        gid = int(item.group) if item.group.isdigit() else grp.getgrnam(item.group).gr_gid
        os.chown(path, owner.uid, gid)
        os.chmod(path, item.mode & 0o777)
    except (KeyError, ValueError):
        if (
            warning := f"there is no {item.owner}:{item.group}: files that were theirs are root's"
        ) not in done.warnings:
            done.warnings.append(warning)


def _make_state(
    top: Path, manifest: Manifest, settings: Settings, state: Path, moves: Moves, done: Restored, *, with_queue: bool
) -> None:
    """The state folder beside its place, then renamed. Raises OSError, Deferred."""
    building = state.with_name(f"{state.name}.gatepost-restore")
    shutil.rmtree(building, ignore_errors=True)
    _make_above(building)
    building.mkdir(mode=0o700)
    mail = identities(settings.run_as).mail
    for item in manifest.items:
        if not item.path.startswith(f"{TOP}/"):
            continue
        name = item.path.removeprefix(f"{TOP}/")
        if name.startswith(f"{QUEUE}/"):
            if not with_queue:
                continue
            done.queued += 1
        target = building / name
        _make_folders(building, target.parent, mail)
        _copy(top / item.path, target)
        _own(target, item, done)
    _make_index(top, manifest, settings, building, moves, done, mail)
    write_synced(str(building / DONE), [_mark(manifest).encode()])
    if os.geteuid() == 0:
        os.chown(building, 0, mail.gid)  # as `gatepost setup` has it
        os.chmod(building, 0o711)
    for folder, _, _ in os.walk(building):
        sync_folder(folder)
    try:
        os.rename(building, state)
    except OSError as error:
        raise BackupProblem(
            f"{building} cannot be renamed to {state} ({error.strerror}): where that is a mount point, mount the volume "
            f"one folder higher"
        ) from error
    sync_folder(str(state.parent))


def _make_folders(top: Path, folder: Path, mail: Identity) -> None:
    if folder == top or folder.exists():
        return
    _make_folders(top, folder.parent, mail)
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder, mail.uid, mail.gid)


def _unpack_stores(
    top: Path, manifest: Manifest, settings: Settings, moves: Moves, done: Restored, say: Callable[[str], None]
) -> None:
    """What `backup --stores` wrote. Raises BackupProblem, Deferred, OSError."""
    mail = identities(settings.run_as).mail
    for volume in settings.store.volumes.values():
        place = Path(volume.path)
        if manifest.stores is not None and not place.exists():
            _make_above(place)
            place.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(place, mail.uid, mail.gid)
        if manifest.stores is not None:
            with acting_as(mail.uid, mail.gid):
                markers.prepare_volume(volume.path)
    if manifest.stores is None:
        return
    known = {moves.text(path): (account, who.split()) for account, path, who in entries.lines(top / ACCOUNTS)}
    stores = Stores(settings.store, None, WORKER)
    with closing(stores):
        for item in manifest.items:
            if not item.path.startswith("stores/"):
                continue
            path = moves.text(item.place)
            account, addresses = known[path]
            with (top / item.path).open("rb") as file, acting_as(mail.uid, mail.gid):
                facts = markers.read(os.path.join(path, markers.ACCOUNT))
                if facts is not None and facts.get("id") == account:
                    done.stores += 1
                    continue  # done before we were killed
                if os.path.lexists(path):
                    raise BackupProblem(f"{path} is there already and is not the store of {account}")
                try:
                    stores.unpack(Account(id=account, dn="", addresses=tuple(addresses)), file, path)
                except (ValueError, StoreHoldsMail) as error:
                    raise BackupProblem(f"{item.path}: {error}") from error
            done.stores += 1
            say(f"store {done.stores} of {manifest.stores}")


def _make_index(
    top: Path, manifest: Manifest, settings: Settings, building: Path, moves: Moves, done: Restored, mail: Identity
) -> None:
    """Rows for the stores that are there, where they are."""
    if settings.role != "all" or not (top / ACCOUNTS).exists():
        return
    index = building / "index"
    if os.geteuid() == 0:
        os.chmod(building, 0o711)
    _make_folders(building, index, mail)
    # it is root's, so it is read before we act as another
    rows = [(account, moves.text(path), who) for account, path, who in entries.lines(top / ACCOUNTS)]
    with acting_as(mail.uid, mail.gid):
        repository = SqliteRepository(index)
        with closing(Stores(settings.store, repository, WORKER)) as stores:
            for account, path, who in rows:
                facts = markers.read(os.path.join(path, markers.ACCOUNT))
                if facts is None or facts.get("id") != account:
                    done.warnings.append(f"{path}, the store of {who or account}, is not there")
                    continue
                try:
                    stores.recognize(Account(id=account, dn="", addresses=tuple(who.split())), path)
                    done.found_stores += 1
                except (OSError, Deferred) as error:
                    done.warnings.append(f"{path}: {error}")
