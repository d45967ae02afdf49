"""What the router asks of lists beside the directory: who is parked, and the return path of a member's own copy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from directory.model import Deferred, MailingList
from gateway.files.secret import secret_key
from gateway.lists.addresses import bounce_address, member_path
from gateway.observe.log import fields
from gateway.queue.list_state import ListState

_log = logging.getLogger("gatepost.lists")


class HostListFacts:
    """Implements `gateway.route.lists.ListFacts`. A message to a list is never held up by trouble here: then parked
    members get it too, and bounces come back without a name."""

    def __init__(self, state: ListState, key: Path) -> None:
        self.state = state
        self._path = key
        self._key = b""

    @property
    def key(self) -> bytes:
        """The key of tokens, made when it is first needed. Raises OSError, ValueError."""
        if not self._key:
            self._key = secret_key(self._path)
        return self._key

    def parked(self, list_id: str) -> frozenset[str]:
        return self._known(self.state.parked, list_id)

    def no_copy(self, list_id: str) -> frozenset[str]:
        return self._known(self.state.no_copy, list_id)

    @staticmethod
    def _known(asked: Callable[[str], frozenset[str]], list_id: str) -> frozenset[str]:
        try:
            return asked(list_id)
        except Deferred as error:
            _log.error("%s", fields(event="list-state-unusable", detail=str(error)))
            return frozenset()

    def path(self, mailing_list: MailingList, member: str) -> str | None:
        try:
            return member_path(mailing_list, self.key, member)
        except (OSError, ValueError) as error:
            _log.error("%s", fields(event="list-key-unusable", detail=str(error)))
            return bounce_address(mailing_list)
