"""HTTP: waitress on an inherited socket or on connections that somebody else accepted, and its orderly end."""

from __future__ import annotations

import contextlib
import copy
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server
from waitress.task import WSGITask

from gateway.service.admission import Networks, group_of
from webadmin.body_limits import BodyLimits
from webadmin.client import address_of
from webadmin.turns import Turns

CHANNEL_SECONDS = 120  # a connection that is silent so long is closed
MAX_CONNECTIONS = 1000
MAX_HEADER = 65_536  # octets
IDLE_SECONDS = 3.0  # nobody who is silent so long is about to ask something
CLIENT_SHARE = 3  # quarters of the threads that one client may have
LOOK_SECONDS = 0.05  # how often the end looks whether requests are still being answered


class _Task(WSGITask):  # type: ignore[misc]
    """A request and its answer, which says when it is the connection's last."""

    def build_response_header(self) -> bytes:
        if getattr(self.channel.server, "is_finishing", False):
            self.request.headers["CONNECTION"] = "close"
        header: bytes = super().build_response_header()
        return header


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """A request as it comes in. Of its body no more is taken than the header allows."""

    def __init__(self, adj: Adjustments, limits: BodyLimits) -> None:
        super().__init__(adj)
        self.adj: Adjustments = adj
        self._limits = limits

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked or self.content_length > 0:
            self.adj = copy.copy(self.adj)
            self.adj.max_request_body_size = self._limits.of(self.path, self.headers) + 1
            if self.content_length >= self.adj.max_request_body_size:
                self.expect_continue = False  # it is answered now


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task

    def parser_class(self, adj: Adjustments) -> _Request:
        return _Request(adj, self.server.body_limits)


class HttpServer:
    """One in the process; its loop runs in a thread of its own, requests in `threads` others."""

    def __init__(
        self, app: Flask, sock: socket.socket, *, threads: int, max_request: int, is_tls: bool, proxies: Networks
    ) -> None:
        """Accepts from `sock`; `proxies` are those whose X-Forwarded-For is believed. With `is_tls` nothing is accepted here, `take` brings what was decrypted."""
        #: waitress wants a socket; nobody connects to this one
        self._idle = socket.socketpair() if is_tls else None
        listening = self._idle[0] if self._idle is not None else sock

        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            environ["gatepost.tls"] = is_tls
            return app(environ, start)

        def client_of(channel: Any) -> str:
            forwarded = channel.requests[0].headers.get("X_FORWARDED_FOR", "") if channel.requests else ""
            return group_of(address_of(str(channel.addr[0]), forwarded, proxies))

        self._server = create_server(
            answer,
            _dispatcher=Turns(threads, max(1, threads * CLIENT_SHARE // 4), client_of),
            sockets=[listening],
            _start=not is_tls,
            channel_timeout=CHANNEL_SECONDS,
            connection_limit=MAX_CONNECTIONS,
            max_request_header_size=MAX_HEADER,
            max_request_body_size=max_request,
            ident="",
            url_scheme="https" if is_tls else "http",
            asyncore_use_poll=True,  # select() ends at descriptor 1023
            clear_untrusted_proxy_headers=False,  # proxies are judged in webadmin.client, by web.trusted_proxies
        )
        self._server.channel_class = _Channel
        self._server.body_limits = app.extensions["gatepost_body_limits"]
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def connections(self) -> int:
        """How many there are."""
        return len(self._server.active_channels)

    def take(self, sock: socket.socket, address: tuple[str, int]) -> None:
        """Serve a connection that comes from `address`. From any thread."""

        def begin() -> None:
            self._server.channel_class(self._server, sock, address, self._server.adj, map=self._server._map)

        sock.setblocking(False)
        self._in_loop(begin)

    def finish(self, seconds: float, *, idle: float = IDLE_SECONDS) -> bool:
        """Accept no more, answer what is asked and close behind it, and close what was silent for `idle` seconds. True
        when that was done in time."""
        deadline = time.monotonic() + seconds
        self._in_loop(self._stop_accepting)
        while time.monotonic() < deadline:
            self._in_loop(lambda: self._close_idle(time.time() - idle))
            time.sleep(LOOK_SECONDS)
            if not self._server.active_channels:
                return True
        return False

    def _in_loop(self, work: Callable[[], None]) -> None:
        self._server.trigger.pull_trigger(work)

    def _stop_accepting(self) -> None:
        """What waits in the socket's backlog is for the successor, which has the same socket."""
        self._server.is_finishing = True
        if self._server.accepting:
            self._server.accepting = False
            self._server.del_channel()
            self._server.socket.close()

    def _close_idle(self, since: float) -> None:
        for channel in list(self._server.active_channels.values()):
            if (
                channel.last_activity > since
                or channel.requests
                or channel.request is not None
                or channel.total_outbufs_len
            ):
                continue  # asked and not answered, or half asked
            with contextlib.suppress(OSError):
                if channel.socket.recv(1, socket.MSG_PEEK):
                    continue  # asked, and not read yet
            channel.will_close = True
