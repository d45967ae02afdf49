"""How much of a request's body is taken, which is judged when its header is there and before the body is: strangers may
sign in and fill in a short form, programs send a change, and only who is signed in sends files.

Signed in is here who has a cookie that this service signed with a session in it, which nobody has who never signed in; that
the session still goes on is asked of the agent when the request is answered. Sessions that are known to have ended here
count no more.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from flask import Flask
from itsdangerous import BadData

STRANGERS, FORM, PROGRAM = 1 << 16, 1 << 20, 1 << 20  # octets
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_ENDED = 10_000


class BodyLimits:
    """Of one application. Thread-safe."""

    def __init__(self, app: Flask, most: int, token_name: str) -> None:
        self._app, self._most, self._token_name = app, most, token_name
        self._lock = threading.Lock()
        #: tokens of sessions that ended lately
        self._ended: OrderedDict[str, None] = OrderedDict()

    def ended(self, token: str) -> None:
        """What still comes with this session's cookie comes from a stranger."""
        with self._lock:
            self._ended[token] = None
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)

    def of(self, path: str, headers: Mapping[str, str]) -> int:
        """Octets of a body to `path` that are taken; `headers` by names such as CONTENT_TYPE."""
        if path.startswith("/api/") and "AUTHORIZATION" in headers:
            return min(PROGRAM, self._most)
        if not self._is_signed_in(headers.get("COOKIE", "")):
            return STRANGERS
        if headers.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() == FORM_TYPE:
            return min(FORM, self._most)  # it is read whole
        return self._most

    def _is_signed_in(self, cookie: str) -> bool:
        serializer = getattr(self._app.session_interface, "get_signing_serializer", lambda _: None)(self._app)
        if not cookie or serializer is None:
            return False
        try:
            morsel: Any = SimpleCookie(cookie).get(self._app.config["SESSION_COOKIE_NAME"])
            longest = int(self._app.permanent_session_lifetime.total_seconds())
            held = serializer.loads(morsel.value, max_age=longest) if morsel is not None else {}
        except (CookieError, BadData, ValueError):
            return False
        token = held.get(self._token_name, "") if isinstance(held, dict) else ""
        with self._lock:
            return bool(token) and token not in self._ended
