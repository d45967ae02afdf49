"""gatepost init: write a configuration to start from."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import click

from directory.model import InvalidAddress, canonical_domain
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

# domain of addresses without one in mail of this host's own programs: root, postmaster
route: {{origin: {origin}}}

# users that `gatepost setup` makes: workers and queue runner; the agent, which alone reads the directory's password;
# delivery programs; the web front end, which opens no mail and no database
run_as: {{mail: gp-mail, directory: gp-dir, programs: gp-prog, web: gp-web}}

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

# certificate with its chain, and key; readable for gp-mail and gp-web
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

# administration, self-service and webmail by browser: behind a proxy that speaks https for it, or with a certificate of
# its own, as in {{listen: "0.0.0.0:443", tls: implicit, url: "https://mail.example.com"}}; see docs/howto/web.md
{web}

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
WEB = 'web: {{listen: "0.0.0.0:443", tls: implicit, url: {url}}}'
NO_WEB = '#web: {{listen: "127.0.0.1:8080", url: {url}}}'
MAX_WORKERS = 64


LDIF = """\
# The mail domain of this host, for ldapadd; look whether ou=domains is where your directory has them.
dn: cn={domain},ou=domains,{base}
objectClass: gatepostEntry
objectClass: gatepostDomain
cn: {domain}
gatepostDomainName: {domain}
"""


def parent_domain(host: str) -> str:
    """The domain a host is in, qmail's defaultdomain; a name of two labels is one itself."""
    labels = host.split(".")
    return ".".join(labels[1:]) if len(labels) > 2 else host


def domain_entry(host: str, base: str) -> str:
    """LDIF of the domain that a host takes mail for, under its own name too: qmail's locals and rcpthosts."""
    domain = parent_domain(host)
    text = LDIF.format(domain=domain, base=base)
    return text + (f"gatepostDomainAlias: {host}\n" if domain != host else "")


def is_host(what: str) -> bool:
    """Whether the argument is a host's name and not a file's."""
    if "/" in what or what.endswith((".yaml", ".yml")) or "." not in what:
        return False
    try:
        return canonical_domain(what) == what.lower()
    except InvalidAddress:
        return False


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
@click.argument("words", metavar="[FQDN] [PATH]", nargs=-1)
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
    words: tuple[str, ...],
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
    """Write a commented configuration to PATH; asks for what no option gives. An existing file stays (exit code 1).

    With FQDN, this host's full name, what no option gives follows from it, and the entry of the mail domain is written
    beside PATH (domain.ldif): everything that qmail's config-fast tells qmail.
    """
    host = words[0].lower() if words and is_host(words[0]) else ""
    rest = words[1:] if host else words
    if len(rest) > 1:
        raise click.UsageError("FQDN and PATH are all there is, as in: gatepost init mail.example.com gatepost.yaml")
    path = Path(rest[0]) if rest else CONFIGURATION_FILE
    entry_path = path.with_name("domain.ldif") if host else None
    for each in (path, entry_path):
        if each is not None and each.exists() and not force:
            click.echo(f"{each} exists; --force replaces it", err=True)
            raise SystemExit(NO)
    hostname = host or hostname
    top = ",".join(f"dc={label}" for label in (parent_domain(host) if host else "example.com").split("."))
    hostname = _asked(hostname, "Name of this host", socket.getfqdn())
    server = _asked(server, "URL of the directory", "ldap://127.0.0.1")
    base = _asked(base, "Base of the directory", top)
    with_tls = bool(cert and key)
    text = TEMPLATE.format(
        hostname=_quoted(hostname),
        server=_quoted(server),
        base=_quoted(base),
        bind=_quoted(_asked(bind, "DN that Gatepost logs in with", f"cn=gateway,ou=services,{base}")),
        password_file=_quoted(_asked(password_file, "File with its password", "/etc/gatepost/ldap-password")),
        origin=_quoted(parent_domain(host) if host else ""),
        profile=_quoted(profile),
        directory_tls=STARTTLS.format(ca=_quoted(ca_file)) if ca_file else "",
        volume=_quoted(volume),
        tls=TLS_FILES.format(cert=_quoted(cert), key=_quoted(key)) if with_tls else NO_TLS_FILES,
        implicit=IMPLICIT if with_tls else "",
        smarthost=_quoted(smarthost),
        web=(WEB if with_tls else NO_WEB).format(url=_quoted(f"https://{hostname}")),
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
    if entry_path is not None:
        entry_path.write_text(domain_entry(host, base), encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"path": str(path)} | ({"domain": str(entry_path)} if entry_path else {})))
        return
    click.echo(f"{path} written; look through it, then: gatepost setup, gatepost check")
    if entry_path is not None:
        click.echo(
            f"{entry_path} written; the domain {parent_domain(host)} for your directory: ldapadd -f {entry_path}"
        )
