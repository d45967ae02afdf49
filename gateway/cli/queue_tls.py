"""gatepost queue tls: how connections to other hosts were protected, the counts that TLS reports are made of."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from directory.model import InvalidAddress, canonical_domain
from gateway.cli.entries import table
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.runs_as import mail_user_only
from gateway.config.load import load
from gateway.deliver.tls_store import FILE, KEPT_DAYS, Sessions, day_of, seen

#: policy types of RFC 8460 4.2 as a person knows them
_WORDS = {"tlsa": "DANE", "sts": "MTA-STS", "no-policy-found": "none"}


def _domain(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return canonical_domain(text)
    except InvalidAddress as error:
        raise click.BadParameter(str(error)) from None


def _policy(each: Sessions) -> str:
    # the octets of TLSA records are for machines
    return f"{_WORDS.get(each.kind, each.kind)} {each.policy if each.kind != 'tlsa' else ''}".strip()


@click.command(name="tls")
@configuration_file
@click.argument("domain", required=False, callback=_domain)
@click.option(
    "--days", type=click.IntRange(1, KEPT_DAYS), default=7, show_default=True, help="how many, today included"
)
@click.option("--failed", is_flag=True, help="only what did not succeed")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="newest lines shown")
@for_machines
def tls(path: Path, domain: str | None, days: int, failed: bool, limit: int, as_json: bool) -> None:
    """How connections to the hosts of MX records were protected: how many met which policy, or failed why.

    DOMAIN is the one whose mail they took; all without it. Days are those of UTC. What was counted in the last minute is not there yet.
    """
    settings = load(path)
    mail_user_only(settings, "see this")
    since = day_of(time.time() - (days - 1) * 86400)
    found = seen(Path(settings.state_dir) / FILE, since, domain=domain, only_failed=failed, limit=limit + 1)
    shown = found[:limit]
    if as_json:
        click.echo(msgspec.json.encode([each._asdict() for each in shown]).decode())
        return
    if not shown:
        whose = f" to {domain}" if domain else ""
        click.echo(f"no {'failed ' if failed else ''}connections{whose} since {since}")
        return
    titles = ("day", "domain", "policy", "host", "result", "connections")
    table(titles, ((each.day, each.domain, _policy(each), each.host, each.result, each.connections) for each in shown))
    if len(found) > limit:
        click.echo("... and older ones (--limit)")
