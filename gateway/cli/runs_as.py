"""Verbs that touch what belongs to the mail processes: for root and for the user they run as."""

from __future__ import annotations

import os

import click

from gateway.cli.problems import NOT_ALLOWED
from gateway.config.settings import Settings


def mail_user_only(settings: Settings, what: str, *, becomes: bool = False) -> None:
    """End the verb for everybody else, saying that they may not do `what`; `becomes`: root goes on as that user."""
    from gateway.service.identity import identities, mail_uid

    mail = mail_uid(settings)
    if os.getuid() not in (0, mail):
        click.echo(f"gatepost: only root and uid {mail} may {what}", err=True)
        raise SystemExit(NOT_ALLOWED)
    if becomes and os.getuid() == 0:
        identities(settings.run_as).mail.take()
