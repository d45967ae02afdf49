"""IMAP connections of the people who are logged in: kept while they work, a few each, closed when they fall silent."""

from __future__ import annotations

import contextlib
import imaplib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from webadmin.backend import SessionEnded, Unavailable
from webadmin.person import Person

SOCKET = "web-imap.sock"
ANSWER_SECONDS = 30.0
KEPT_SECONDS = 120.0
KEPT_OF_A_PERSON = 2
MAX_KEPT = 400
PROXY_PORT = 1  # PROXY wants ports; nobody looks at them


def proxy_header(address: str) -> bytes:
    """PROXY version 1 for a client at `address`."""
    family = "TCP6" if ":" in address else "TCP4"
    here = "::1" if ":" in address else "127.0.0.1"
    return f"PROXY {family} {address} {here} {PROXY_PORT} {PROXY_PORT}\r\n".encode()


class _UnixIMAP4(imaplib.IMAP4):
    """imaplib on a unix socket that begins with a PROXY header."""

    def __init__(self, path: Path, address: str) -> None:
        self._path, self._address = path, address
        super().__init__(str(path), 0, ANSWER_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(str(self._path))
            sock.sendall(proxy_header(self._address))
        except OSError:
            sock.close()
            raise
        return sock


class _Client(IMAPClient):  # type: ignore[misc]
    """IMAPClient on a unix socket."""

    def __init__(self, path: Path, address: str) -> None:
        self._unix, self._client_address = path, address
        super().__init__("localhost", ssl=False, use_uid=True, timeout=ANSWER_SECONDS)
        self.normalise_times = False
        #: the mailbox that `webadmin.mail.store` looks at, as it was sent; None when that is not known
        self.gatepost_selected: bytes | None = None

    def select_folder(self, folder: str, readonly: bool = False) -> Any:
        """Look at another mailbox, which `webadmin.mail.store` has to know."""
        self.gatepost_selected = None
        return super().select_folder(folder, readonly)

    def close_folder(self) -> Any:
        """Leave the mailbox."""
        self.gatepost_selected = None
        return super().close_folder()

    def unselect_folder(self) -> Any:
        """Leave the mailbox."""
        self.gatepost_selected = None
        return super().unselect_folder()

    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 (the library's name)
        return _UnixIMAP4(self._unix, self._client_address)


class Mailboxes:
    """Lends connections; each is used by one request at a time."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / SOCKET
        self._lock = threading.Lock()
        #: (token, address) -> connections with the time they came back
        self._kept: dict[tuple[str, str], list[tuple[float, IMAPClient]]] = {}

    @contextlib.contextmanager
    def of(self, person: Person, address: str) -> Iterator[IMAPClient]:
        """A connection of this person's, logged in. Raises SessionEnded, Unavailable."""
        client = self._take(person, address) or self._open(person, address)
        try:
            yield client
        except (IMAPClientAbortError, OSError) as error:
            self._close(client)
            raise Unavailable("imap", str(error)) from error
        except IMAPClientError:
            self._give(person, address, client)  # the answer was NO: the connection is as good as before
            raise
        except BaseException:
            self._close(client)  # it may be in the middle of an answer
            raise
        else:
            self._give(person, address, client)

    def _open(self, person: Person, address: str) -> IMAPClient:
        client = None
        try:
            client = _Client(self._path, address)
            client.login(person.login, person.token)
        except LoginError as error:
            if client is not None:
                self._close(client)
            if "AUTHENTICATIONFAILED" in str(error):
                raise SessionEnded from None
            raise Unavailable("imap", str(error)) from None
        except (IMAPClientError, OSError) as error:
            if client is not None:
                self._close(client)
            raise Unavailable("imap", str(error)) from error
        return client

    def _take(self, person: Person, address: str) -> IMAPClient | None:
        old: list[IMAPClient] = []
        found = None
        now = time.monotonic()
        with self._lock:
            waiting = self._kept.get((person.token, address), [])
            if waiting:
                since, found = waiting.pop()
                if now - since > KEPT_SECONDS:
                    old.append(found)
                    found = None
            old += self._expired(now)
        for client in old:
            self._close(client)
        return found

    def _expired(self, now: float) -> list[IMAPClient]:
        old = []
        for key in list(self._kept):
            keep = []
            for since, client in self._kept[key]:
                if now - since > KEPT_SECONDS:
                    old.append(client)
                else:
                    keep.append((since, client))
            if keep:
                self._kept[key] = keep
            else:
                del self._kept[key]
        return old

    def _give(self, person: Person, address: str, client: IMAPClient) -> None:
        with self._lock:
            kept = self._kept.setdefault((person.token, address), [])
            if len(kept) < KEPT_OF_A_PERSON and sum(map(len, self._kept.values())) < MAX_KEPT:
                kept.append((time.monotonic(), client))
                return
        self._close(client)

    def drop(self, token: str) -> None:
        """Close what a session that has ended left open."""
        with self._lock:
            keys = [key for key in self._kept if key[0] == token]
            old = [client for key in keys for _, client in self._kept.pop(key)]
        for client in old:
            self._close(client)

    def close(self) -> None:
        """Close all that are kept."""
        for token in {token for token, _ in list(self._kept)}:
            self.drop(token)

    @staticmethod
    def _close(client: IMAPClient) -> None:
        with contextlib.suppress(IMAPClientError, OSError):
            client.shutdown()
