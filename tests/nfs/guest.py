"""A guest: Linux as a process of this host (user-mode Linux), with a network card, a disk and a serial line.

Its root is the host's file system, read-only. Commands come over the serial line, so they reach it without its
network, too. All its processes live in one pid namespace: killing it is a power cut, what it had not synced to
its disk is gone, and it ends with whoever started it.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

INIT = Path(__file__).with_name("guest_init.sh")
MEMORY = "256M"  # of which the host gives what is used
BOOT_SECONDS = 30.0
_ENDED = b"\n@@ended@@ "


class GuestProblem(Exception):
    """A guest does not do what it was told; says what it printed."""


class NoGuest(GuestProblem):
    """This machine does not run the kernel of guests up to their first process; says what it printed."""


class Guest:
    """One guest. Not thread-safe: one command at a time."""

    def __init__(self, name: str, address: str, *, tap: str, namespace: int, disk: Path, packages: Path) -> None:
        """`namespace` is a process in the network that has the tap; `packages` holds what the host does not have."""
        self.name, self.address = name, address
        self._tap, self._namespace, self._disk, self._packages = tap, namespace, disk, packages
        self._mac = "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))  # the same at each boot
        self._console = disk.with_suffix(".console")
        self._process: subprocess.Popen[bytes] | None = None

    def turn_on(self) -> None:
        """Begin to boot; the guest ends with the thread that calls this."""
        ours, its = socket.socketpair()
        kernel = self._packages / "usr/bin/linux.uml"
        command = [
            "nsenter", f"--net=/proc/{self._namespace}/ns/net",
            "setpriv", "--pdeathsig", "KILL",
            "unshare", "--pid", "--fork", "--kill-child=KILL",
            str(kernel) if kernel.exists() else "linux.uml", f"mem={MEMORY}", "rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}", "quiet",
            f"ubd0={self._disk}", f"vec0:transport=tap,ifname={self._tap},mac={self._mac},depth=64,gro=1",
            "con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{its.fileno()}",
            f"gatepost.name={self.name}", f"gatepost.address={self.address}", f"gatepost.packages={self._packages}",
        ]  # fmt: skip
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, pass_fds=[its.fileno()]
            )
        its.close()
        self._line = ours

    def wait_for_boot(self) -> None:
        """Raises GuestProblem when it does not come up."""
        try:
            self._read(b"READY\n", BOOT_SECONDS)
        except GuestProblem:
            console = self._console.read_text(errors="replace")
            if "\ninit\n" not in console.replace("\r", ""):
                raise NoGuest(console[-1000:]) from None
            raise

    @property
    def is_on(self) -> bool:
        return self._process is not None

    def run(self, command: str, seconds: float = 30.0) -> str:
        """What a bash command prints. Raises GuestProblem when it fails or takes longer."""
        self._line.settimeout(10)
        self._line.sendall(base64.b64encode(command.encode()) + b"\n")
        said = self._read(_ENDED, seconds)
        code = int(self._read(b"\n", 10))
        text = said.decode(errors="replace")
        if code != 0:
            raise GuestProblem(f"{self.name}: {command}: exit code {code}\n{text}")
        return text

    def _read(self, end: bytes, seconds: float) -> bytes:
        deadline, said = time.monotonic() + seconds, b""
        while not said.endswith(end):
            self._line.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                octet = self._line.recv(1)
            except TimeoutError:
                raise GuestProblem(f"{self.name} says nothing more after {seconds} s: {said[-3000:]!r}") from None
            if not octet:
                raise GuestProblem(f"{self.name} is dead: {self._console.read_text(errors='replace')[-3000:]}")
            said += octet
        return said.removesuffix(end)

    def cut(self) -> None:
        """The power is off when it returns: every process is gone, the tap is free."""
        if self._process is None:
            return
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        with contextlib.suppress(OSError):  # it has ended by itself
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGKILL)
        try:
            self._process.wait(10)  # unshare waits for its child, which takes the whole namespace with it
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self._line.close()
