"""gatepost inject: the interface of qmail-inject.

Recipients are the arguments, or without any those of To, Cc and Bcc (-A); only the arguments with -a, only the header
with -h, both with -H. Exit codes are qmail's: 0 taken, 100 never, 111 try again later.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from directory.model import InvalidAddress
from gateway.cli.hand_in import NotHandedIn, WholeRefused, hand_in, own_name, place, sender_field
from gateway.cli.options import CONFIGURATION_FILE
from gateway.config.load import ConfigurationError
from gateway.mail.header import HeaderProblem, scan
from gateway.mail.outgoing import normalized, recipients, with_header, without_hidden

TAKEN, NEVER, LATER = 0, 100, 111
_USERS = ("QMAILUSER", "MAILUSER", "USER", "LOGNAME")
_HOSTS = ("QMAILHOST", "MAILHOST")
_NAMES = ("QMAILNAME", "MAILNAME", "NAME")


def _first(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _address(user: str, host: str, origin: str) -> str:
    return f"{user}@{host or origin}" if host or origin else user


def inject(words: tuple[str, ...], how: str, sender: str | None, show: bool, configuration: Path) -> int:
    """Hand in the message on standard input; the exit code."""
    where = place(configuration)
    content = with_header(normalized(sys.stdin.buffer.read(), dot_ends=False))
    flags = os.environ.get("QMAILINJECT", "")
    for flag, name in (("f", b"from"), ("i", b"message-id"), ("s", b"return-path")):
        if flag in flags:
            content = with_header(b"".join(scan(content).without(name)))
    header = scan(content)
    named = [] if how == "a" or (how == "A" and words) else recipients(header)
    wanted = [] if how == "h" else list(words)
    user = _first(_USERS) or own_name()[0]
    if not header.has(b"from"):
        author = _address(user, _first(_HOSTS), where.origin)
        content = sender_field(author, _first(_NAMES) or own_name()[1], where) + content
    path = sender if sender is not None else _address(
        os.environ.get("QMAILSUSER") or user, os.environ.get("QMAILSHOST") or _first(_HOSTS), where.origin
    )  # fmt: skip
    content = without_hidden(content)
    if show:
        sys.stdout.buffer.write(content)
        return TAKEN
    if not wanted + named:
        click.echo("inject: no recipients", err=True)
        return NEVER
    handed = hand_in(where, path.strip("<>"), wanted + named, content)
    for address, (code, text) in handed.refused.items():
        click.echo(f"inject: {address}: {code} {text}", err=True)
    return NEVER if handed.refused else TAKEN


@click.command(name="inject", context_settings={"ignore_unknown_options": False})
@click.option(
    "--config", "path", type=click.Path(path_type=Path), default=CONFIGURATION_FILE, envvar="GATEPOST_CONFIG",
    show_default=True, help="configuration file",
)  # fmt: skip
@click.option("-a", "how", flag_value="a", help="recipients are the arguments")
@click.option("-h", "how", flag_value="h", help="recipients are those of the header")
@click.option("-A", "how", flag_value="A", default="A", help="the arguments, or without any those of the header")
@click.option("-H", "how", flag_value="H", help="the arguments and those of the header")
@click.option("-f", "sender", metavar="SENDER", help="return path")
@click.option("-n", "show", is_flag=True, help="print the message instead of sending it")
@click.option("-N", "send", is_flag=True, help="send it (the default)")
@click.argument("words", nargs=-1, metavar="[RECIPIENT]...")
def command(path: Path, how: str, sender: str | None, show: bool, send: bool, words: tuple[str, ...]) -> NoReturn:
    """Take a message from standard input, as qmail-inject does; exit codes 0 taken, 100 never, 111 try again later."""
    try:
        code = inject(words, how or "A", sender, show and not send, path)
    except (NotHandedIn, ConfigurationError) as error:
        click.echo(f"inject: {error}", err=True)
        code = LATER
    except (InvalidAddress, HeaderProblem, WholeRefused) as error:
        click.echo(f"inject: {error}", err=True)
        code = NEVER
    raise SystemExit(code)
