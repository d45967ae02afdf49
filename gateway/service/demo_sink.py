"""The demo's outside world: an SMTP server that keeps every message as a file, and accepts anything.

Run as `python -m gateway.service.demo_sink PORT FOLDER`; a message becomes `<n>.eml` whose first lines
are X-Envelope-From and X-Envelope-To.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import signal
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_MESSAGE = 100 * 1024 * 1024
PR_SET_PDEATHSIG = 1


class Sink:
    """aiosmtpd's handler."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        taken = (int(path.stem) for path in folder.glob("*.eml") if path.stem.isdigit())
        self._numbers = itertools.count(max(taken, default=0) + 1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        # aiosmtpd calls the null path "<>"
        head = [f"X-Envelope-From: <{(envelope.mail_from or '').strip('<>')}>"]
        head += [f"X-Envelope-To: <{recipient}>" for recipient in envelope.rcpt_tos]
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        path = self._folder / f"{next(self._numbers)}.eml"
        temporary = path.with_suffix(".new")
        temporary.write_bytes("\r\n".join(head).encode() + b"\r\n" + content)
        temporary.rename(path)
        return "250 2.0.0 kept"


async def serve(port: int, folder: Path) -> None:
    """Serve until SIGTERM."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sink = Sink(folder)
    server = await loop.create_server(
        lambda: SMTP(sink, hostname="outside.example", enable_SMTPUTF8=True, data_size_limit=MAX_MESSAGE, loop=loop),
        "127.0.0.1", port,
    )  # fmt: skip
    await stop.wait()
    server.close()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != 1:
        asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
