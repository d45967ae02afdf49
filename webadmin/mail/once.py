"""A letter is sent once, however often its button is pressed."""

from __future__ import annotations

import threading
from collections import OrderedDict

from flask_babel import gettext

from webadmin.backend import NotPossible

MAX_KEPT = 2000


class Once:
    """What was sent lately, by person and letter. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: -> where its sender was led; "" = it is under way
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    def begin(self, account: str, key: str) -> str:
        """ "" when it may be sent now, else where its sender was led. Raises NotPossible while it is under way."""
        with self._lock:
            found = self._known.get((account, key))
            if found == "":
                raise NotPossible(gettext("This message is being sent at this moment."))
            if found is None:
                self._known[account, key] = ""
                while len(self._known) > MAX_KEPT:
                    self._known.popitem(last=False)
            return found or ""

    def end(self, account: str, key: str, led_to: str) -> None:
        """It was sent."""
        with self._lock:
            self._known[account, key] = led_to

    def forget(self, account: str, key: str) -> None:
        """It was not, or was taken back."""
        with self._lock:
            self._known.pop((account, key), None)
