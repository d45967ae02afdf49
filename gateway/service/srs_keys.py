"""The keys of rewritten return paths: one file, written by the runner that signs, read by every worker.

Each line is `<unix time of making> <64 hexadecimal digits>`, the newest first. A key is kept as long as a return
path that it signed can come back. Hosts that share a domain share the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from directory.model import Condition, Deferred
from gateway.config.settings import Settings
from gateway.files.durable import sync_folder, write_synced
from gateway.mail.srs import DAY, Srs

KEY_OCTETS = 32
MAX_FILE = 64 * 1024


class SrsKeys:
    """Callable as `gateway.mail.srs.Keys`. `signs`: this process makes the first key and renews it."""

    def __init__(self, path: Path, *, key_days: int, max_age_days: int, signs: bool) -> None:
        self._path, self._signs = path, signs
        self._period, self._kept = key_days * DAY, (key_days + max_age_days) * DAY
        self._seen: tuple[int, int, int] | None = None
        self._keys: list[tuple[float, bytes]] = []

    def __call__(self, now: float) -> Sequence[bytes]:
        """The keys, the one that signs first. Raises Deferred."""
        try:
            self._read()
            if self._signs and (not self._keys or now - self._keys[0][0] > self._period):
                self._renew(now)
        except (OSError, ValueError) as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error
        return [key for _, key in self._keys]

    def _read(self) -> None:
        try:
            with open(self._path, encoding="ascii") as file:
                stat = os.fstat(file.fileno())
                mark = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if mark == self._seen:
                    return
                keys = []
                for line in file.read(MAX_FILE).splitlines():
                    made, _, digits = line.partition(" ")
                    key = bytes.fromhex(digits)
                    if len(key) != KEY_OCTETS:
                        raise ValueError("a line holds no key")
                    keys.append((float(made), key))
        except FileNotFoundError:
            self._keys, self._seen = [], None
            return
        self._keys, self._seen = sorted(keys, reverse=True), mark

    def _renew(self, now: float) -> None:
        """Put a new key in front, unless another host or process was faster."""
        with open(f"{self._path}.lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._seen = None
            self._read()
            if self._keys and now - self._keys[0][0] <= self._period:
                return
            kept = [(made, key) for made, key in self._keys if now - made <= self._kept]
            keys = [(now, secrets.token_bytes(KEY_OCTETS)), *kept]
            temporary = f"{self._path}.new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            write_synced(temporary, ["".join(f"{made:.0f} {key.hex()}\n" for made, key in keys).encode()])
            os.rename(temporary, self._path)
            sync_folder(str(self._path.parent))
            self._read()


def make_srs(settings: Settings, *, signs: bool) -> Srs:
    """Return paths as the configuration wants them, for a process."""
    srs = settings.srs
    path = Path(srs.key_file) if srs.key_file else Path(settings.state_dir) / "srs.keys"
    keys = SrsKeys(path, key_days=srs.key_days, max_age_days=srs.max_age_days, signs=signs)
    return Srs(srs.domain.lower(), keys, srs.max_age_days)
