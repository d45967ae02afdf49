"""gatepost init: write a configuration to start from."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import click

from gateway.cli.options import CONFIGURATION_FILE, for_machines
from gateway.cli.problems import CONFIGURATION, NO
from gateway.config.load import ConfigurationError, load

TEMPLATE = """\
# Gatepost's configuration. Every other option with its default: gatepost describe
# After a change: gatepost check, gatepost reload

# this host's name in greetings and Received fields; the certificate must be for it
hostname: {hostname}

state_dir: /var/lib/gatepost
run_dir: /run/gatepost

# users that `gatepost setup` makes: workers and queue runner; the agent, which alone reads the directory's password;
# delivery programs
run_as: {{mail: gp-mail, directory: gp-dir, programs: gp-prog}}

directory:
  # the first that answers is asked
  servers: [{server}]
  base: {base}
  # native: entries with Gatepost's own schema; inetorg: plain inetOrgPerson; or a file of your own
  profile: {profile}
  bind:
    dn: {bind}
    # a file with nothing but the password
    password_file: {password_file}
{directory_tls}
store:
  volumes:
    main: {{path: {volume}}}

# certificate with its chain, and key; readable for gp-mail
{tls}

listen:
  mx: [{{address: 0.0.0.0, port: 25}}]
  submission: [{{address: 0.0.0.0, port: 587}}]
{implicit}  imap: [{{address: 0.0.0.0, port: 143}}]
  pop3: [{{address: 0.0.0.0, port: 110}}]

# who takes mail for outside: host, host:port; without one it waits in the queue
relay: {{smarthost: {smarthost}}}

# processes that serve clients: one a processor core
workers: {workers}

# figures for Prometheus and load balancers, see docs/reference/metrics.md
#metrics: {{listen: "127.0.0.1:9180"}}
"""
STARTTLS = "  tls: {{starttls: true, ca_file: {ca}}}\n"
TLS_FILES = "tls: {{cert: {cert}, key: {key}}}"
NO_TLS_FILES = "#tls: {cert: /etc/gatepost/cert.pem, key: /etc/gatepost/key.pem}"
IMPLICIT = """\
  submissions: [{address: 0.0.0.0, port: 465, tls: implicit}]
  imaps: [{address: 0.0.0.0, port: 993, tls: implicit}]
  pop3s: [{address: 0.0.0.0, port: 995, tls: implicit}]
"""
MAX_WORKERS = 64


def _quoted(text: str) -> str:
    """A YAML scalar that stands for exactly this text."""
    return json.dumps(text, ensure_ascii=False)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _asked(value: str | None, question: str, proposal: str) -> str:
    """What was given as an option, else what a person answers at a terminal, else the proposal."""
    if value is not None:
        return value
    if not _is_terminal():
        return proposal
    answer: str = click.prompt(question, default=proposal)
    return answer


@click.command(name="init")
@click.argument("path", type=click.Path(path_type=Path), default=CONFIGURATION_FILE)
@click.option("--hostname", help="this host's name")
@click.option("--directory", "server", help="ldap://, ldaps:// or ldapi:// URL of the directory")
@click.option("--base", help="DN below which everything is")
@click.option("--bind", help="DN that Gatepost logs in with")
@click.option("--password-file", help="file that holds nothing but its password")
@click.option("--profile", default="native", show_default=True, help="how entries are read")
@click.option("--ca-file", default="", help="CA of an ldap:// server, which is then asked for StartTLS")
@click.option("--volume", default="/var/lib/gatepost/mail", show_default=True, help="folder of the mail")
@click.option("--smarthost", default="", help="host that takes mail for outside")
@click.option("--cert", default="", help="certificate with its chain, PEM")
@click.option("--key", default="", help="its private key, PEM")
@click.option("--force", is_flag=True, help="replace an existing file")
@for_machines
def command(
    path: Path,
    hostname: str | None,
    server: str | None,
    base: str | None,
    bind: str | None,
    password_file: str | None,
    profile: str,
    ca_file: str,
    volume: str,
    smarthost: str,
    cert: str,
    key: str,
    force: bool,
    as_json: bool,
) -> None:
    """Write a commented configuration to PATH; asks for what no option gives. An existing file stays (exit code 1)."""
    if path.exists() and not force:
        click.echo(f"{path} exists; --force replaces it", err=True)
        raise SystemExit(NO)
    with_tls = bool(cert and key)
    text = TEMPLATE.format(
        hostname=_quoted(_asked(hostname, "Name of this host", socket.getfqdn())),
        server=_quoted(_asked(server, "URL of the directory", "ldap://127.0.0.1")),
        base=_quoted(_asked(base, "Base of the directory", "dc=example,dc=com")),
        bind=_quoted(_asked(bind, "DN that Gatepost logs in with", "cn=gateway,ou=services,dc=example,dc=com")),
        password_file=_quoted(_asked(password_file, "File with its password", "/etc/gatepost/ldap-password")),
        profile=_quoted(profile),
        directory_tls=STARTTLS.format(ca=_quoted(ca_file)) if ca_file else "",
        volume=_quoted(volume),
        tls=TLS_FILES.format(cert=_quoted(cert), key=_quoted(key)) if with_tls else NO_TLS_FILES,
        implicit=IMPLICIT if with_tls else "",
        smarthost=_quoted(smarthost),
        workers=min(os.cpu_count() or 2, MAX_WORKERS),
    )
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "w", encoding="utf-8") as file:
        file.write(text)
    try:
        load(fresh)
    except ConfigurationError as error:
        problems = "\n".join(f"{problem.path}: {problem.message}" for problem in error.problems)
        click.echo(problems, err=True)
        raise SystemExit(CONFIGURATION) from None
    else:
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    if as_json:
        click.echo(json.dumps({"path": str(path)}))
    else:
        click.echo(f"{path} written; look through it, then: gatepost setup, gatepost check")
