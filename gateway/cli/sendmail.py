"""gatepost sendmail: the interface of Sendmail, for programs that call /usr/sbin/sendmail.

Installed as `sendmail`, `mailq` or `newaliases` (a link to the gatepost command) it behaves like the program of that
name. Exit codes are those of sysexits.h: 0 taken, 64 usage, 65 no address, 67 no such recipient, 69 refused, 75 try
again later.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import click

from directory.model import Deferred, InvalidAddress
from gateway.cli.hand_in import (
    Handed,
    LocalSmtp,
    NotHandedIn,
    Place,
    WholeRefused,
    hand_in,
    own_name,
    place,
    sender_field,
)
from gateway.cli.options import CONFIGURATION_FILE
from gateway.config.load import ConfigurationError
from gateway.mail.header import HeaderProblem, scan
from gateway.mail.outgoing import normalized, recipients, with_header, without_hidden

OK, USAGE, DATA, NO_USER, UNAVAILABLE, TEMPORARY, NOT_PERMITTED, CONFIGURATION = 0, 64, 65, 67, 69, 75, 77, 78
#: options with a value, which may stand in the next word
_VALUED = "fFrBCNRVXhLOopA"
#: options without one, that change nothing here: the queue is Gatepost's, who may set what is no question of flags
_IGNORED = "GUvnxm"


@dataclass(slots=True)
class _Wish:
    """The command line."""

    mode: str = "m"
    from_header: bool = False
    dot_ends: bool = True
    sender: str | None = None
    name: str = ""
    errors: str = "p"
    configuration: Path = Path(os.environ.get("GATEPOST_CONFIG", CONFIGURATION_FILE))
    parameters: dict[str, str] = field(default_factory=dict)
    recipients: list[str] = field(default_factory=list)


class _Usage(Exception):
    """What is wrong with the command line."""


def _parse(words: list[str]) -> _Wish:
    wish = _Wish()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            wish.recipients += waiting
            break
        if word.startswith("--"):
            raise _Usage(f"unknown option {word}")
        if not word.startswith("-") or word == "-":
            wish.recipients.append(word)
            continue
        letter, rest = word[1], word[2:]
        if letter in "bqe" or letter in _VALUED:
            if not rest and letter in _VALUED and letter != "p":
                if not waiting:
                    raise _Usage(f"-{letter} needs a value")
                rest = waiting.pop(0)
            _option(wish, letter, rest)
            continue
        for each in word[1:]:
            if each == "i":
                wish.dot_ends = False
            elif each == "t":
                wish.from_header = True
            elif each == "I":
                wish.mode = "i"
            elif each not in _IGNORED:
                raise _Usage(f"unknown option -{each}")
    return wish


def _option(wish: _Wish, letter: str, value: str) -> None:
    if letter == "b":
        if value[:1] not in ("m", "s", "p", "v", "i") or len(value) != 1:
            raise _Usage(f"-b{value}: only -bm, -bs, -bp, -bv and -bi are available; the service is `gatepost serve`")
        wish.mode = value
    elif letter == "q":
        wish.mode = "q"
    elif letter in "fr":
        wish.sender = "" if value == "<>" else value.strip("<>")
    elif letter == "F":
        wish.name = value
    elif letter == "C":
        wish.configuration = Path(value)
    elif letter == "N":
        wish.parameters["NOTIFY"] = value.upper()
    elif letter == "R":
        wish.parameters["RET"] = value.upper()
    elif letter == "V":
        wish.parameters["ENVID"] = value
    elif letter == "e":
        _errors(wish, value)
    elif letter == "o" and value.startswith("i"):
        wish.dot_ends = False
    elif letter == "o" and value.startswith("e"):
        _errors(wish, value[1:])
    # every other -o, -O, -B, -X, -h, -L, -p and -A is accepted and changes nothing


def _errors(wish: _Wish, value: str) -> None:
    if value[:1] not in ("p", "m", "e", "q", "w") or not value:
        raise _Usage(f"-e{value}: p, m, e, q or w is wanted")
    wish.errors = value[0]


def main(words: list[str], called: str = "sendmail") -> int:
    """Run as the program `called`; the exit code."""
    try:
        wish = _parse(words)
        if called == "mailq":
            wish.mode = "p"
        elif called == "newaliases":
            wish.mode = "i"
        if wish.mode == "i":
            return OK  # aliases are in the directory, where they work at once
        if wish.mode in ("p", "q"):
            return _queue(wish)
        where = place(wish.configuration)
        if wish.mode == "s":
            return _speak(where)
        if wish.mode == "v":
            return _verify(where, wish)
        return _submit(where, wish)
    except _Usage as error:
        return _fail(str(error), USAGE)
    except ConfigurationError as error:
        return _fail(str(error), CONFIGURATION)


def _fail(text: str, code: int) -> int:
    print(f"sendmail: {text}", file=sys.stderr)
    return code


def _queue(wish: _Wish) -> int:
    """-bp shows the queue, to other users what they handed in; -q has everything in it tried now, and is for root
    and the service's own user."""
    from gateway.cli.own_queue import ask_as_owner, is_operator
    from gateway.cli.problems import NOT_ALLOWED, explain
    from gateway.config.load import load
    from gateway.control.client import ControlError, call
    from gateway.queue.file import MESSAGES
    from gateway.queue.listing import listing, own_listing
    from gateway.service.mail_control import MAIL_SOCKET

    try:
        if wish.mode == "p" and not is_operator(wish.configuration):
            for line in own_listing(ask_as_owner(wish.configuration, "own-queue-list", None)):
                print(line)
            return OK
        settings = load(wish.configuration)
        if wish.mode == "q":
            call(Path(settings.run_dir) / MAIL_SOCKET, "queue-change", what="retry")
            return OK
        state = Path(settings.state_dir)
        for line in listing(state / "queue" / MESSAGES, state / "queue.db"):
            print(line)
    except ConfigurationError as error:
        return _fail(str(error), CONFIGURATION)
    except (ControlError, Deferred, OSError) as error:
        text, code = explain(error)
        return _fail(text, NOT_PERMITTED if code == NOT_ALLOWED else TEMPORARY)
    return OK


def _submit(where: Place, wish: _Wish) -> int:
    try:
        content = with_header(normalized(sys.stdin.buffer.read(), dot_ends=wish.dot_ends))
        header = scan(content)
    except HeaderProblem as error:
        return _fail(str(error), DATA)
    wanted = [*wish.recipients, *(recipients(header) if wish.from_header else [])]
    if not wanted:
        return _fail("recipient names must be specified", USAGE)
    login, full_name = own_name()
    if not header.has(b"from"):
        name = wish.name or os.environ.get("NAME", "") or full_name
        content = sender_field(wish.sender or login, name, where) + content
    content = without_hidden(content)
    sender = login if wish.sender is None else wish.sender
    try:
        handed = hand_in(where, sender, wanted, content, wish.parameters)
    except InvalidAddress as error:
        return _report(where, wish, sender, content, f"{error}", DATA)
    except WholeRefused as error:
        return _report(where, wish, sender, content, str(error), UNAVAILABLE if error.code < 600 else DATA)
    except NotHandedIn as error:
        return _fail(str(error), TEMPORARY)
    if not handed.refused:
        return OK
    text = "\n".join(f"{address}... {code} {words}" for address, (code, words) in handed.refused.items())
    return _report(where, wish, sender, content, text, _code(handed))


def _code(handed: Handed) -> int:
    unknown = all(words.startswith(("5.1.", "5.2.1")) for _, words in handed.refused.values())
    return NO_USER if unknown else UNAVAILABLE


def _report(where: Place, wish: _Wish, sender: str, content: bytes, text: str, code: int) -> int:
    """Tell a refusal in the way that -e asks for: print, mail, mail and exit 0, only the exit code, write."""
    if wish.errors in ("m", "e") and sender:
        back = f"From: Mail Delivery System <mailer-daemon>\nTo: {sender}\nSubject: Returned mail\n" \
               f"Auto-Submitted: auto-replied\n\n{text}\n\n".encode()  # fmt: skip
        back += b"".join(b"> " + line for line in content.splitlines(keepends=True))
        try:
            hand_in(where, "", [sender], back)
        except (InvalidAddress, NotHandedIn, WholeRefused) as error:
            return _fail(f"{text}; {error}", code)
        return OK if wish.errors == "e" else code
    return code if wish.errors == "q" else _fail(text, code)


def _verify(where: Place, wish: _Wish) -> int:
    """-bv: what the service would answer, nothing is sent."""
    if not wish.recipients:
        raise _Usage("-bv needs an address")
    try:
        with LocalSmtp(where.socket) as client:
            client.ehlo_or_helo_if_needed()
            client.mail("")
            worst = OK
            for address in wish.recipients:
                code, text = client.rcpt(address)
                said = text.decode("utf-8", "replace")
                print(f"{address}... {'deliverable' if code < 300 else 'not deliverable'}: {code} {said}")
                if code >= 400:
                    worst = max(worst, TEMPORARY if code < 500 else NO_USER)
            return worst
    except OSError as error:
        return _fail(f"{where.socket}: {error.strerror or error}", TEMPORARY)


def _speak(where: Place) -> int:
    """-bs: SMTP on standard input and output, spoken by the service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(where.socket))
        except OSError:
            sys.stdout.write("421 4.3.2 the service is not running, try again later\r\n")
            sys.stdout.flush()
            return TEMPORARY

        def send() -> None:
            while data := os.read(0, 65536):
                sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        while data := sock.recv(65536):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    return OK


@click.command(
    name="sendmail", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS] [RECIPIENT]...")
def command(words: tuple[str, ...]) -> NoReturn:
    """Take a message from standard input, as Sendmail does: -t -i -f -F -bs -bp -q -bv -oem and more; exits as it does."""
    if words == ("--help",):
        click.echo(click.get_current_context().get_help())
        click.echo((__doc__ or "").partition("\n\n")[2])
        raise SystemExit(OK)
    raise SystemExit(main(list(words)))
