"""The web front end under a uid of its own, with https: what it may ask, what a stranger may, reload, certificate."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from conftest import GATEPOST, RunningDemo, eventually, free_offset, has_whole_copy
from other_user import as_user

from gateway.control.client import ControlError, call
from gateway.control.protocol import Claim
from gateway.service.demo_certificate import make_certificates
from gateway.service.overview import Process, read
from gateway.store.markers import prepare_volume

pytestmark = [
    pytest.mark.xdist_group("web-process"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root can give up root: `sudo make test` runs this"),
]
MAIL, DIRECTORY, WEB, STRANGER = 15020, 15021, 15022, 15023
SPY = """
import os, sys
class Spy:
    def find_spec(self, name, path=None, target=None):
        if os.getuid() == {web}:
            with open({log!r}, "a") as file:
                file.write(name + "\\n")
sys.meta_path.insert(0, Spy())
"""


@dataclass
class Service:
    folder: Path
    port: int
    master: int

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def web(self) -> Process:
        found = read(self.run)
        assert found is not None
        (one,) = [each for each in found.children if each.name == "web" and not each.passing]
        return one

    def reloads(self) -> int:
        found = read(self.run)
        return found.reloads if found is not None else -1

    def reload(self) -> None:
        before = self.reloads()
        os.kill(self.master, signal.SIGHUP)
        eventually(lambda: self.reloads() > before, 60)

    def visitor(self) -> requests.Session:
        http = requests.Session()
        http.trust_env, http.verify = False, str(self.folder / "tls" / "ca.pem")
        return http


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="gatepost-web-"))  # not pytest's own: other uids have to reach it
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def service(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    demo = RunningDemo(tmp_path_factory.mktemp("demo"))
    port = 8080 + free_offset()
    configuration = yaml.safe_load((demo.folder / "gatepost.yaml").read_text())
    for name, bind in (("password", "bind"), ("write", "write_bind")):
        shutil.copy(configuration["directory"][bind]["password_file"], folder / name)
        os.chown(folder / name, DIRECTORY, DIRECTORY)
        configuration["directory"][bind]["password_file"] = str(folder / name)
    (folder / "mail").mkdir(mode=0o700)
    prepare_volume(folder / "mail")
    for path in (folder / "mail", folder / "mail" / ".gatepost-store"):
        os.chown(path, MAIL, MAIL)
    configuration["store"]["volumes"]["main"]["path"] = str(folder / "mail")
    certify(folder)
    configuration |= {
        "state_dir": str(folder / "state"),
        "run_dir": str(folder / "run"),
        "run_as": {"mail": str(MAIL), "directory": str(DIRECTORY), "web": str(WEB)},
        "listen": {},
        "tls": {"cert": str(folder / "tls" / "cert.pem"), "key": str(folder / "tls" / "key.pem")},
        "web": {"listen": f"127.0.0.1:{port}", "tls": "implicit", "url": f"https://localhost:{port}"},
        "limits": {"handshake_timeout": 1},
    }
    (folder / "gatepost.yaml").write_text(yaml.safe_dump(configuration))
    (folder / "imported").touch()
    (folder / "imported").chmod(0o666)
    (folder / "sitecustomize.py").write_text(SPY.format(web=WEB, log=str(folder / "imported")))
    command = [*GATEPOST, "serve", "--config", str(folder / "gatepost.yaml")]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(folder)})
    try:
        eventually(
            lambda: process.poll() is not None or ((found := read(folder / "run")) is not None and found.ready), 60
        )
        assert process.poll() is None
        eventually(lambda: has_whole_copy(folder / "gatepost.yaml"))
        yield Service(folder, port, process.pid)
    finally:
        process.terminate()
        assert process.wait(60) == 0
        demo.stop()


def certify(folder: Path) -> None:
    shutil.rmtree(folder / "tls", ignore_errors=True)
    make_certificates(folder / "tls", ["example.com"])
    (folder / "tls").chmod(0o755)
    for path in (folder / "tls").iterdir():
        path.chmod(0o644)


def sign_in(http: requests.Session, url: str) -> requests.Response:
    page = http.get(f"{url}/login", timeout=60).text
    token = page.partition('name="csrf-token" content="')[2].partition('"')[0]
    fields = {"csrf_token": token, "login": "jane", "password": "jane-demo-password"}
    return http.post(f"{url}/login", data=fields, timeout=60)


def test_it_has_a_uid_of_its_own_and_imports_nothing_after_it_took_that(service: Service) -> None:
    status = Path(f"/proc/{service.web().pid}/status").read_text()
    assert f"Uid:\t{WEB}\t{WEB}\t{WEB}\t{WEB}\n" in status and "CapEff:\t0000000000000000\n" in status
    with service.visitor() as http:
        assert "Jane Doe" in sign_in(http, service.url).text
        assert http.get(f"{service.url}/people/", timeout=60).status_code == 403
        assert http.get(f"{service.url}/nothing", timeout=60).status_code == 404
    assert (service.folder / "imported").read_text().split() == []


def test_its_files_are_its_own_and_no_others_are_open_to_it(service: Service) -> None:
    assert (service.folder / "state" / "web").stat().st_uid == WEB
    for path in (service.folder / "mail", service.folder / "password", service.folder / "state" / "replica"):
        assert not as_user(WEB, lambda path=path: os.access(path, os.R_OK))


def asked(path: Path, verb: str, claim: Claim | None, **arguments: Any) -> str:
    try:
        call(path, verb, claim, **arguments)
    except ControlError as error:
        return str(error)
    return ""


def greeting(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(path))
        try:
            sock.sendall(b"PROXY TCP4 192.0.2.1 127.0.0.1 1 1\r\n")
            return sock.recv(200).decode()
        except ConnectionError:
            return ""


def test_the_sockets_answer_to_it_for_a_person_only_and_to_strangers_not(service: Service) -> None:
    run, jane = service.run, Claim(login="jane", password="jane-demo-password")
    assert as_user(WEB, lambda: asked(run / "control.sock", "whoami", jane)) == ""
    wrong = Claim(login="jane", password="wrong")
    assert as_user(WEB, lambda: asked(run / "control.sock", "whoami", wrong)) != ""
    for verb in ("whoami", "directory-status", "flush-logins", "accept-deletions"):
        assert " is for " in as_user(WEB, lambda verb=verb: asked(run / "control.sock", verb, None)), verb
    assert " is for " in as_user(WEB, lambda: asked(run / "control.sock", "flush-logins", jane))
    assert as_user(STRANGER, lambda: asked(run / "control.sock", "whoami", jane)) != ""
    for verb in ("queue-now", "queue-drop"):
        assert as_user(WEB, lambda verb=verb: asked(run / "mail.sock", verb, None, message="x")) != ""
    for name, word in (("web-imap.sock", "* OK"), ("web-submission.sock", "220 ")):
        assert as_user(WEB, lambda name=name: greeting(run / name)).startswith(word)
        assert as_user(STRANGER, lambda name=name: greeting(run / name)) == ""


def test_over_https_cookies_go_nowhere_else(service: Service) -> None:
    with service.visitor() as http:
        answer = http.get(f"{service.url}/login", timeout=60)
        cookie = answer.headers["Set-Cookie"]
        assert "Secure" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_what_is_no_tls_is_closed_and_what_says_nothing_too(service: Service) -> None:
    for said in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"", b"\x16\x03\x01"):
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as sock:
            sock.sendall(said)
            answer = b""
            try:
                while data := sock.recv(1000):
                    answer += data
            except ConnectionError:
                pass
            assert b"HTTP" not in answer


def test_a_large_upload_and_a_large_answer_come_through(service: Service) -> None:
    with service.visitor() as http:
        sign_in(http, service.url)
        answer = http.post(f"{service.url}/logout", data={"filler": "x" * 900_000}, timeout=60)
        assert answer.status_code == 400  # whole, and without the form's token
        script = http.get(f"{service.url}/static/x/vendor/pico.min.css", headers={"Accept-Encoding": ""}, timeout=60)
        assert len(script.content) > 70_000 and script.content.rstrip().endswith(b"}")


def test_more_than_the_limit_is_refused_before_it_is_sent(service: Service) -> None:
    context = ssl.create_default_context(cafile=str(service.folder / "tls" / "ca.pem"))
    with (
        socket.create_connection(("127.0.0.1", service.port), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as sock,
    ):
        sock.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\nx")
        assert sock.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_reload_resets_no_connection(service: Service) -> None:
    problems: list[str] = []
    done = threading.Event()

    def visit(kept: bool) -> None:
        with service.visitor() as http:
            while not done.is_set():
                try:
                    headers = {} if kept else {"Connection": "close"}
                    assert http.get(f"{service.url}/login", headers=headers, timeout=60).status_code == 200
                except Exception as error:
                    problems.append(repr(error))

    visitors = [threading.Thread(target=visit, args=(kept,)) for kept in (False, False, True)]
    for each in visitors:
        each.start()
    try:
        for _ in range(3):
            before = service.web().pid
            service.reload()
            assert service.web().pid != before
    finally:
        done.set()
        for each in visitors:
            each.join(60)
    assert problems == []


def test_a_session_outlives_a_reload_and_a_killed_process(service: Service) -> None:
    with service.visitor() as http:
        sign_in(http, service.url)
        service.reload()

        def answers() -> bool:
            try:  # a connection that was kept ends with its process, at worst while a request is on its way
                return "Jane Doe" in http.get(service.url, timeout=60).text
            except requests.ConnectionError:
                return False

        eventually(answers)
        before = service.web().pid
        os.kill(before, signal.SIGKILL)
        eventually(answers)
        assert service.web().pid != before


def test_a_new_certificate_is_taken_without_a_restart(service: Service) -> None:
    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", service.port), timeout=20)

    before = shown()
    certify(service.folder)
    eventually(lambda: shown() != before, 100)
