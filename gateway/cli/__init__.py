"""The command `gatepost`: one file a verb in this package, one line in VERBS."""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from typing import Any

import click

from gateway import __version__

#: verb -> module in this package; imported only when used
VERBS = (
    "account",
    "adopt",
    "alias",
    "backup",
    "check",
    "checkpassword",
    "demo",
    "describe",
    "directory",
    "doctor",
    "domain",
    "import",
    "init",
    "inject",
    "list",
    "migrate",
    "passwd",
    "ps",
    "queue",
    "reload",
    "restore",
    "schema",
    "selftest",
    "sendmail",
    "serve",
    "setup",
    "status",
    "stop",
    "storage-test",
    "store",
    "trace",
    "undelete",
    "user",
)


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS]  # not list(): the verb of that name is an attribute of this package once it is used

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        name = cmd_name.replace("-", "_")
        module: Any = importlib.import_module(f"gateway.cli.{name}{'_' if keyword.iskeyword(name) else ''}")
        command: click.Command = module.command
        return command


@click.group(cls=_Lazy)
@click.version_option(__version__, prog_name="gatepost")
def group() -> None:
    """Mail on the LDAP directory a company already runs."""


def main() -> None:
    """Exit codes: 0 done, 1 the answer is no, 2 usage, 3 configuration, 4 temporary, 5 not allowed, 70 bug."""
    from gateway.cli.problems import run

    called = os.path.basename(sys.argv[0])
    if called in ("sendmail", "mailq", "newaliases"):
        from gateway.cli.sendmail import main as sendmail

        sys.exit(sendmail(sys.argv[1:], called))
    sys.exit(run(group))
