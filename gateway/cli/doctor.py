"""gatepost doctor: why is it so?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from directory.port import Login
from gateway.cli.directory_report import check
from gateway.cli.entries import account_named, ask, read_password
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO, TEMPORARY
from gateway.config.load import load
from gateway.service.local_copy import local_copy
from gateway.service.rehearsal import Rehearsed, rehearse
from gateway.service.rehearsal_targets import told_targets
from gateway.smtp.settings import Role


@click.group(name="doctor")
def command() -> None:
    """Why an address gets no mail, why somebody cannot log in, what is wrong in the directory."""


def _end(code: int) -> None:
    if code >= 400:
        raise SystemExit(TEMPORARY if code < 500 else NO)


def _print(told: Rehearsed, targets: list[str], address: str, sender: str, as_json: bool) -> None:
    if as_json:
        facts = {"address": address, "sender": sender, "steps": told.steps, "targets": targets, "code": told.code,
                 "reply": told.reply, "detail": told.detail}  # fmt: skip
        click.echo(msgspec.json.encode(facts).decode())
        return
    for step in told.steps:
        click.echo(f"  {step}")
    for target in targets:
        click.echo(f"  -> {target}")
    click.echo(told.reply)
    if told.detail:
        click.echo(f"  because: {told.detail}")


@command.command(name="address")
@configuration_file
@for_machines
@click.argument("address")
@click.option(
    "--sender", default="postmaster@sender.invalid", show_default=True, help="return path of the message, '' for <>"
)
@click.option("--login", default="", help="as submission answers this person, logged in")
@click.option("--lmtp", is_flag=True, help="as LMTP answers")
def address_command(path: Path, as_json: bool, address: str, sender: str, login: str, lmtp: bool) -> None:
    """Show every step from ADDRESS to a mailbox, and the reply a sender gets: 0 taken, 4 deferred, 1 refused."""
    settings = load(path)
    if login and lmtp:
        raise click.UsageError("--login and --lmtp exclude each other")
    with local_copy(settings) as view:
        who = Login(account_named(view, login).id, "doctor") if login else None
        role = Role.SUBMISSION if login else Role.LMTP if lmtp else Role.MX
        told = rehearse(settings, view, address, sender, role, who)
        targets = told_targets(told, sender, view, settings)
    _print(told, targets, address, sender, as_json)
    _end(told.code)


@command.command(name="login")
@configuration_file
@for_machines
@click.argument("login")
@click.option(
    "--service", default="imap", show_default=True, help="imap, pop3, submission, webmail, sieve, selfservice"
)
@click.option("--address", default="", help="where the person sits (an IP address)")
@click.option("--password-stdin", is_flag=True, help="try it too, with the password from standard input")
def login_command(path: Path, as_json: bool, login: str, service: str, address: str, password_stdin: bool) -> None:
    """Show why LOGIN can or cannot log in: 0 nothing stands against it, 1 something does, 4 for now."""
    settings = load(path)
    password = read_password(f"Password of {login}") if password_stdin else ""
    found = ask(settings, "doctor-login", login=login, service=service, address=address, password=password)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        for finding in found["findings"]:
            click.echo(f"{'ok ' if finding['ok'] else 'NO '} {finding['text']}")
    against = [finding for finding in found["findings"] if not finding["ok"]]
    if against:
        raise SystemExit(TEMPORARY if all(finding["temporary"] for finding in against) else NO)


command.add_command(check, "directory")
