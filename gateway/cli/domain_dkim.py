"""gatepost domain dkim: the keys with which a domain signs its mail, and what the DNS must say of them."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from gateway.cli.entries import domain_named
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.cli.runs_as import mail_user_only
from gateway.config.load import load
from gateway.service.local_copy import local_copy


@click.command(name="dkim")
@configuration_file
@for_machines
@click.argument("name")
@click.option(
    "--selector", help="make keys under this name: RSA, and Ed25519 under NAME-ed; default: show what is there"
)
def dkim(path: Path, as_json: bool, name: str, selector: str | None) -> None:
    """Make keys that sign the mail of a domain, and print the DNS records of all there are."""
    from gateway.service.signing import FOLDER, key_path, load_key, make_key, txt

    settings = load(path)
    with local_copy(settings) as view:
        domain = domain_named(view, name)
    mail_user_only(settings, "see keys", becomes=True)
    folder = Path(settings.state_dir) / FOLDER
    name = name.lower() if name.lower() in (domain.name, *domain.aliases) else domain.name
    present = sorted(each.stem for each in (folder / name).glob("[!.]*.pem"))
    if selector is None and not present:
        selector = time.strftime("gp%Y%m")
    records = []
    try:
        if selector is not None:
            make_key(key_path(folder, name, selector), "rsa-sha256")
            make_key(key_path(folder, name, f"{selector}-ed"), "ed25519-sha256")
            present = sorted({*present, selector, f"{selector}-ed"})
        for each in present:
            signer, value = load_key(key_path(folder, name, each), name, each)
            records.append(
                {
                    "selector": each,
                    "algorithm": signer.algorithm,
                    "name": f"{each}._domainkey.{name}",
                    "value": value,
                    "signs": each in domain.dkim_selectors,
                }
            )
    except (OSError, ValueError) as error:
        click.echo(f"gatepost: {error}", err=True)
        raise SystemExit(NO) from None
    if as_json:
        click.echo(msgspec.json.encode(records).decode())
        return
    for one in records:
        click.echo(f"{one['name']}. IN TXT ( {txt(str(one['value']))} )")
    if idle := [str(one["selector"]) for one in records if not one["signs"]]:
        click.echo(f"\nnot in use: {', '.join(idle)}. When the DNS has the records:")
        click.echo(f"  gatepost domain set {domain.name} dkim_selectors={','.join(idle)}")
