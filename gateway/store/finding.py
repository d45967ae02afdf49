"""Where the file of a message stands, although other programs may have renamed it for flags."""

from __future__ import annotations

import os
from collections.abc import Callable

from gateway.store.layout import unique_part
from gateway.store.repository import MessageRow


class Finder:
    """Files of one mailbox; its folder is listed once at most. Raises OSError."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._cur = os.path.join(folder, "cur", "")
        self._listed: dict[str, str] | None = None

    def expected(self, message: MessageRow) -> str:
        """The path by the index."""
        return f"{self._cur}{message.name}:2,{message.info}"

    def do(self, message: MessageRow, act: Callable[[str], None]) -> bool:
        """Call `act` with the path of a message's file; False when there is no file.

        `act` raises FileNotFoundError when the path it got is none.
        """
        try:
            act(self.expected(message))
        except FileNotFoundError:
            pass
        else:
            return True
        # cut off by a crash before it got its name, or renamed by another program
        for path in (os.path.join(self._folder, "tmp", message.ukey), self._files().get(message.ukey)):
            if path is not None:
                try:
                    act(path)
                except FileNotFoundError:
                    continue
                return True
        return False

    def _files(self) -> dict[str, str]:
        if self._listed is None:
            self._listed = {}
            for place in ("new", "cur"):
                folder = os.path.join(self._folder, place)
                for file in os.listdir(folder):
                    self._listed[unique_part(file)] = os.path.join(folder, file)
        return self._listed
