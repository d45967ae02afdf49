"""The master with children of straw: back-off, socket activation, what systemd hears."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CONFIGURATION = """state_dir: {dir}/state
run_dir: {dir}/run
directory: {{servers: ["ldap://127.0.0.1:1"], base: "o=x"}}
store: {{volumes: {{main: {{path: {dir}}}}}}}
workers: 1
listen: {listen}
processes: {{heartbeat: {heartbeat}}}
"""
#: a service whose children only beat, and answer connections with their number
PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
import uvloop
from gateway.config.load import load
from gateway.observe import log
from gateway.service import agent, master, runner, systemd, worker

def life(pulse, sockets=(), seconds=None):
    async def main():
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        async def answer(reader, writer):
            writer.write(b"%d\\n" % os.getpid())
            writer.close()
        servers = [await asyncio.start_server(answer, sock=sock) for _, _, sock in sockets]
        pulse.start(stop.set)
        pulse.ready()
        if seconds is not None:
            await asyncio.sleep(seconds)
            os._exit(1)
        await stop.wait()
        for server in servers:
            server.close()
        await asyncio.sleep(0.3)  # what was accepted is answered
    uvloop.run(main())

dies = float(sys.argv[2]) if len(sys.argv) > 2 else None
agent.run = lambda settings, pulse: life(pulse)
runner.run = lambda settings, pulse: life(pulse)
worker.run = lambda settings, number, sockets, pulse: life(pulse, sockets, dies)
if "LISTEN_FDS" in os.environ:
    os.environ["LISTEN_PID"] = str(os.getpid())
path = Path(sys.argv[1])
log.start("master")
sys.exit(master.Master(load(path), path).run())
"""


class Service:
    """A master that runs; `stop` gives what it logged."""

    def __init__(self, folder: Path, *words: str, listen: str = "{}", heartbeat: str = "3s", **options: object) -> None:
        self.configuration = folder / "gatepost.yaml"
        self.configuration.write_text(CONFIGURATION.format(dir=folder, listen=listen, heartbeat=heartbeat))
        program = folder / "service.py"
        program.write_text(PROGRAM)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}  # type: ignore[dict-item]
        command = [sys.executable, str(program), str(self.configuration), *words]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, **options)  # type: ignore[call-overload]

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        said: str = self.process.communicate(timeout=30)[1]
        return said


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        yield sock


def hear(notices: socket.socket, wanted: str) -> list[str]:
    heard = []
    while True:
        heard.append(notices.recv(4096).decode())
        if heard[-1].startswith(wanted):
            return heard


def test_a_child_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path, notices: socket.socket) -> None:
    service = Service(tmp_path, "0.05", heartbeat="200ms", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    hear(notices, "READY=1")
    time.sleep(4)
    lines = service.stop().splitlines()
    deaths = [line for line in lines if "event=child-died child=worker-0" in line]
    # pauses of 0.2, 0.4, 0.8, 1.6, 3.2 seconds
    assert 3 <= len(deaths) <= 6, lines
    assert [line for line in lines if "event=child-keeps-dying child=worker-0" in line]
    assert not [line for line in lines if "child-died child=agent" in line]
    assert service.process.returncode == 0


def test_systemd_hears_the_whole_life(tmp_path: Path, notices: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    service = Service(tmp_path, env=environment)
    try:
        hear(notices, "READY=1")
        hear(notices, "WATCHDOG=1")
        hear(notices, "WATCHDOG=1")
        service.process.send_signal(signal.SIGHUP)
        hear(notices, "RELOADING=1\nMONOTONIC_USEC=")
        hear(notices, "READY=1\nSTATUS=serving")
        service.configuration.write_text("broken")
        service.process.send_signal(signal.SIGHUP)
        hear(notices, "RELOADING=1")
        assert hear(notices, "READY=1")[-1].endswith("the last reload was refused")
    finally:
        said = service.stop()
    hear(notices, "STOPPING=1")
    assert "event=reload-refused" in said
    assert service.process.returncode == 0


def served_by(port: int) -> int:
    """The process that answers there."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        return int(client.makefile().readline())


def test_a_socket_of_systemd_is_served_and_survives_a_reload(tmp_path: Path, notices: socket.socket) -> None:
    with socket.socket() as passed:
        passed.bind(("127.0.0.1", 0))
        passed.listen()
        port = passed.getsockname()[1]
        given = os.dup(passed.fileno())

        def put() -> None:
            os.dup2(given, 3)

        service = Service(
            tmp_path,
            listen=f"{{imap: [{{port: {port}, tls: none}}]}}",
            env={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "imap", "NOTIFY_SOCKET": str(tmp_path / "notify")},
            preexec_fn=put,
            pass_fds=(3,),
        )
        os.close(given)
    try:
        hear(notices, "READY=1")
        first = served_by(port)
        service.process.send_signal(signal.SIGHUP)
        hear(notices, "RELOADING=1")
        hear(notices, "READY=1")
        deadline = time.monotonic() + 20
        while served_by(port) == first:  # the old one may take a connection before it hears that it is over
            assert time.monotonic() < deadline
    finally:
        service.stop()
    assert service.process.returncode == 0


def test_a_second_master_of_one_folder_is_refused(tmp_path: Path, notices: socket.socket) -> None:
    first = Service(tmp_path, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    hear(notices, "READY=1")
    second = Service(tmp_path)
    said = second.process.communicate(timeout=30)[1]
    assert "another gatepost runs here" in said
    assert second.process.returncode != 0
    first.stop()
    assert first.process.returncode == 0
