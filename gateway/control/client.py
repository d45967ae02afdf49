"""The caller's side of the admin socket, for the command line."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec

from gateway.control.protocol import MAX_LINE, Claim, Reply, Request

ANSWER_SECONDS = 60.0


class ControlError(Exception):
    """The service did not do it; `code` is the exit code that says why."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def call(
    path: Path, verb: str, actor: Claim | None = None, *, answer_within: float = ANSWER_SECONDS, **args: Any
) -> Any:
    """Ask the running service, as the operator or for `actor`. Raises ControlError (4 when it does not run)."""
    line = b""
    try:
        request = msgspec.json.encode(Request(1, verb, args, actor)) + b"\n"
        if len(request) > MAX_LINE:
            raise ControlError("that is too much for one request", 2)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(answer_within)
            sock.connect(str(path))
            sock.sendall(request)
            while not line.endswith(b"\n"):
                data = sock.recv(65536)
                if not data or len(line) > MAX_LINE:
                    raise ControlError("the service closed the connection", 4)
                line += data
    except UnicodeEncodeError:
        raise ControlError("that is no text", 2) from None
    except PermissionError:
        raise ControlError(f"{path}: only root and the service's own user may ask", 5) from None
    except OSError as error:
        raise ControlError(f"{path}: {error.strerror or error}; is the service running?", 4) from None
    reply = msgspec.json.decode(line, type=Reply)
    if reply.error:
        raise ControlError(reply.error, reply.code or 1)
    return reply.result
