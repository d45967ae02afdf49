"""Asks the spawner to run a program, for the queue runner."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec

from directory.model import Condition, Deferred
from gateway.deliver.program import Order, Ran
from gateway.deliver.program_settings import ProgramSettings
from gateway.service.spawner import MAX_ORDER, SOCKET

GRACE_SECONDS = 30.0  # beside the program's own time


class Programs:
    """The delivery programs of this host."""

    def __init__(self, run_dir: Path, programs: dict[str, ProgramSettings]) -> None:
        self._socket, self._programs = run_dir / SOCKET, programs
        self._gates = {name: asyncio.Semaphore(program.concurrency) for name, program in programs.items()}

    async def run(self, name: str, environment: dict[str, str], content: Iterator[bytes], size: int) -> Ran:
        """Run it with a message of `size` octets. Raises Deferred where it cannot be run now."""
        program = self._programs.get(name)
        if program is None:
            raise Deferred(Condition.PROGRAM_DEFERRED, f"there is no program {name} in the configuration")
        try:
            async with self._gates[name], asyncio.timeout(program.timeout + GRACE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=MAX_ORDER)
                try:
                    writer.write(msgspec.json.encode(Order(name, environment, size)) + b"\n")
                    for piece in content:
                        writer.write(piece)
                        await writer.drain()
                    line = await reader.readline()
                finally:
                    writer.close()
            return msgspec.json.decode(line, type=Ran)
        except (OSError, ValueError) as error:  # no spawner, it ended, or it did not answer in time
            why = str(error) or "no answer in time"
            raise Deferred(Condition.PROGRAM_DEFERRED, f"program {name}: {why}") from error
