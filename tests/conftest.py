"""What several tests share: a running demo, free ports."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap3
import pytest
from browsing import browse, chromium
from visitor import visit

from directory.raw import canonical_dn
from gateway.config.load import load
from gateway.service.local_copy import raw_copy

__all__ = ["browse", "chromium", "visit"]  # fixtures that live in files of their own

GATEPOST = [sys.executable, "-m", "gateway"]


#: groups that take longer than twenty seconds, the longest first
LONG = (
    "founding", "mail-programs", "nfs", "selftest-trouble", "processes", "test_following", "test_authenticator", "test_one_file",
    "test_slapd_killed", "test_queue_killed_at_each_step", "rspamd", "test_stopped_accounts", "test_exit_codes",
    "test_live_directory", "test_torture", "test_queue_verbs", "test_pop3_trouble", "test_sendmail", "test_lists",
)  # fmt: skip


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """A module stays in one process, which starts its services once, and so do modules of one `xdist_group`; those of
    LONG are begun first, so that no process is left alone with one at the end."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    yield
    items.sort(key=lambda item: LONG.index(group) if (group := _group_of(item)) in LONG else len(LONG))
    if getattr(config.option, "loadgroup", False):
        for item in items:
            _keep_together(item)


def _group_of(item: pytest.Item) -> str:
    mark = item.get_closest_marker("xdist_group")
    assert mark is not None
    return str(mark.args[0])


def _keep_together(item: pytest.Item) -> None:
    """See to it that the id of a test ends with its group, from where the other side of xdist takes it."""
    group = f"@{_group_of(item)}"
    if not item.nodeid.endswith(group):
        # xdist 3.8 writes what pytest 9.2 does not read any more: nothing would be kept together
        item._id = type(item._id).parse(item.nodeid + group)  # type: ignore[attr-defined]
    assert item.nodeid.endswith(group), "pytest and pytest-xdist do not keep groups of tests together"


#: port offsets that are this process's until it ends, by the locks on their files
_OFFSETS: dict[int, int] = {}


def _is_ours(offset: int) -> bool:
    """Keep an offset from other test processes of this host, also between the look at its ports and their use."""
    if offset not in _OFFSETS:
        folder = Path(tempfile.gettempdir()) / f"gatepost-test-ports-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        file = os.open(folder / str(offset), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        _OFFSETS[offset] = file
    return True


def free_offset() -> int:
    """A port offset under which all default ports of the demo are free, and no other test's."""
    for attempt in range(455):
        # no two default ports differ by a multiple of 32, so different offsets have no port in common;
        # the highest port stays below those that the kernel gives (32768)
        offset = 10_000 + 32 * ((os.getpid() * 7 + attempt) % 455)
        try:
            for port in (2525, 2587, 2465, 2424, 2143, 2993, 2110, 2995, 2190, 2626, 8080, 3890):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        if _is_ours(offset):
            return offset
    raise RuntimeError("no free ports")


def eventually(what: Callable[[], object], seconds: float = 30.0) -> float:
    """Wait until `what` is true; how many seconds that took."""
    begin, pause = time.monotonic(), 0.01
    while not what():
        assert time.monotonic() - begin < seconds, f"not within {seconds} seconds"
        time.sleep(pause)
        pause = min(2 * pause, 0.1)
    return time.monotonic() - begin


def has_whole_copy(configuration: Path) -> bool:
    """True once a service that is ready has read the directory, too: until then every recipient is 451."""
    from in_process import answer  # which knows RunningDemo

    told = answer("status", "--json", "--config", str(configuration)).stdout
    return bool(told and json.loads(told)["directory"]["complete"])


class RunningDemo:
    """A demo that serves; `facts` is its demo.json."""

    def __init__(self, folder: Path, *, web: bool = False) -> None:
        self.folder = folder
        done = subprocess.run(
            [
                *GATEPOST,
                "demo",
                "--dir",
                str(folder),
                "--detach",
                *([] if web else ["--no-web"]),
                "--port-offset",
                str(free_offset()),
            ],
            capture_output=True,
            text=True,
            timeout=90,
        )
        if done.returncode != 0:
            log = folder / "demo.log"
            raise RuntimeError(f"{done.stderr}\n{log.read_text() if log.exists() else ''}")
        self.facts: dict[str, Any] = json.loads((folder / "demo.json").read_text())

    def port(self, service: str) -> int:
        return int(self.facts["ports"][service])

    @contextmanager
    def administrator(self) -> Iterator[ldap3.Connection]:
        """Who may change everything in the directory."""
        facts = self.facts["directory"]
        server = ldap3.Server(facts["uri"], get_info=ldap3.NONE)
        connection = ldap3.Connection(server, facts["admin_dn"], facts["admin_password"], auto_bind=True)
        try:
            yield connection
        finally:
            connection.unbind()

    def change(self, login: str, values: dict[str, list[str]]) -> None:
        """Replace values of a person's entry; live in every worker when it returns."""
        with self.administrator() as admin:
            assert admin.search(self.facts["directory"]["base"], f"(uid={login})", attributes=[])
            changes = {name: [(ldap3.MODIFY_REPLACE, value)] for name, value in values.items()}
            dn = admin.response[0]["dn"]
            assert admin.modify(dn, changes), admin.result
            assert admin.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["entryCSN"])
            version = admin.response[0]["raw_attributes"]["entryCSN"][0].decode()
        with raw_copy(load(Path(self.facts["config_file"]))) as copy:  # which all workers read

            def has_version() -> bool:
                raws = [copy.get(each) for each in copy.ids("dn", canonical_dn(dn))]
                return any(raw is not None and version in raw.texts("entrycsn") for raw in raws)

            eventually(has_version, 10.0)

    def stop(self) -> None:
        from in_process import answer  # which knows RunningDemo

        assert answer("stop", "--dir", str(self.folder)).returncode == 0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def webbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """The one demo of all tests of the web front end (xdist group "web"); each makes people of its own for what it changes."""
    running = RunningDemo(tmp_path_factory.mktemp("webbed"), web=True)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """The one demo of the tests with other programs and many messages (xdist group "mail-programs"); each has an account of its own."""
    running = RunningDemo(tmp_path_factory.mktemp("busy"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """The one demo of all founding tests, which stay in one process by their group; each makes people of its own."""
    running = RunningDemo(tmp_path_factory.mktemp("founded"))
    yield running
    running.stop()
