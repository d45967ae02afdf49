"""gatepost checkpassword: proves logins for programs that speak checkpassword's interface (cr.yp.to/checkpwd).

Descriptor 3 gives login, password and a timestamp, each ended by a zero octet, 512 octets at most. A right login runs
PROGRAM with USER, HOME (the folder of the store), MAILDIR and SHELL, under the user that owns stores. Exit codes are the
interface's: 1 the login is wrong, 2 used wrongly, 111 try again later; else PROGRAM's own.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from directory.model import Condition, Deferred, Refused
from directory.port import Login
from gateway.cli.options import configuration_file
from gateway.config.load import ConfigurationError, load
from gateway.config.settings import Settings
from gateway.service.agent_protocol import MAX_LINE, Answer, Request
from gateway.service.identity import identities
from gateway.store.sqlite.usage import ReadOnlyIndex

WRONG, MISUSED, LATER = 1, 2, 111
DESCRIPTOR = 3
MAX_INPUT = 512
ANSWER_SECONDS = 30.0


def given(data: bytes) -> tuple[str, str]:
    """Login and password of what descriptor 3 gave. Raises ValueError."""
    parts = data.split(b"\0")
    if len(parts) < 4 or len(data) > MAX_INPUT:
        raise ValueError("login, password and timestamp are wanted, each ended by a zero octet, 512 octets at most")
    try:
        return parts[0].decode("utf-8"), parts[1].decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(Condition.AUTHENTICATION_FAILED, "login or password is not UTF-8") from error


def read_input(descriptor: int = DESCRIPTOR) -> bytes:
    """Everything that comes from the descriptor, one octet more than allowed at most. Raises OSError."""
    data = b""
    while len(data) <= MAX_INPUT and (more := os.read(descriptor, MAX_INPUT + 1 - len(data))):
        data += more
    os.close(descriptor)
    return data


def prove(settings: Settings, login: str, password: str, service: str, address: str) -> Login:
    """Ask the agent. Raises Deferred, Refused."""
    line = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(ANSWER_SECONDS)
            sock.connect(f"{settings.run_dir}/agent.sock")
            sock.sendall(msgspec.json.encode(Request(1, login, password, service, address)) + b"\n")
            while True:
                while b"\n" not in line:
                    data = sock.recv(MAX_LINE)
                    if not data:
                        raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "agent connection lost")
                    line += data
                first, _, line = line.partition(b"\n")
                answer = msgspec.json.decode(first, type=Answer)
                if answer.id == 1:
                    return answer.result()
    except (OSError, msgspec.MsgspecError) as error:
        raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"agent: {error}") from error


def _become(settings: Settings, login: str, account: str) -> None:
    """Environment, folder and user of the store; one that is not made yet has no folder."""
    row = ReadOnlyIndex(Path(settings.state_dir) / "index").account(account) if settings.role == "all" else None
    home = os.path.dirname(row.path) if row is not None else "/"
    os.environ |= {"USER": login, "HOME": home, "SHELL": "/bin/false", "GATEPOST_ACCOUNT": account}
    if row is not None:
        os.environ["MAILDIR"] = row.path
    if os.getuid() == 0:
        identities(settings.run_as).mail.take()
    os.chdir(home)


@click.command(name="checkpassword", context_settings={"allow_interspersed_args": False})
@configuration_file
@click.option("--service", default="pop3", show_default=True, help="the service that the account must have")
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="PROGRAM [ARGUMENT]...")
def command(path: Path, service: str, program: tuple[str, ...]) -> NoReturn:
    """Check login and password from descriptor 3, then run PROGRAM; exit codes 1 wrong, 2 misused, 111 try again later."""
    try:
        settings = load(path)
        data = read_input()
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        raise SystemExit(LATER) from None
    except OSError:
        click.echo("checkpassword: nothing on descriptor 3; a server starts this program", err=True)
        raise SystemExit(MISUSED) from None
    try:
        login, password = given(data)
        address = os.environ.get("TCPREMOTEIP", "127.0.0.1")
        account = prove(settings, login, password, service, address).account
        _become(settings, login, account)
        os.execvp(program[0], program)
    except Refused:
        raise SystemExit(WRONG) from None
    except ValueError as error:
        click.echo(f"checkpassword: {error}", err=True)
        raise SystemExit(MISUSED) from None
    except (Deferred, OSError) as error:
        click.echo(f"checkpassword: {error}", err=True)
        raise SystemExit(LATER) from None
