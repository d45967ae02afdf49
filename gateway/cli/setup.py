"""gatepost setup: what a configuration needs on this host: users, folders, the systemd unit."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NOT_ALLOWED, TEMPORARY
from gateway.cli.setup_links import Step, links
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.control.client import ControlError
from gateway.service.identity import PASSABLE, Identities, identities, may
from gateway.service.unit import NAME, socket_units, unit
from gateway.store.markers import STORE, prepare_volume

UNIT_FOLDER = Path("/etc/systemd/system")
COMMAND_SECONDS = 60


def _run(*words: str) -> None:
    try:
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    except FileNotFoundError:
        raise ControlError(f"{words[0]} is missing on this host", TEMPORARY) from None
    except subprocess.CalledProcessError as error:
        raise ControlError(f"{' '.join(words)}: {error.stderr.strip()}", TEMPORARY) from None


def systemd_version() -> int:
    """Of this host; 0 without systemd."""
    try:
        done = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, timeout=COMMAND_SECONDS)
    except OSError:
        return 0
    found = re.match(r"systemd (\d+)", done.stdout)
    return int(found[1]) if found else 0


def users(settings: Settings) -> Iterator[Step]:
    """Make the users that `run_as` names and the host does not have; numbers need none."""
    run_as = settings.run_as
    for name in dict.fromkeys((run_as.mail, run_as.directory, run_as.programs, run_as.web)):
        if not name or name.isdigit():
            continue
        try:
            pwd.getpwnam(name)
        except KeyError:
            words = ("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent")
            command = (*words, "--shell", "/usr/sbin/nologin", "--user-group", name)
            yield Step(f"make the system user {name}", lambda command=command: _run(*command))  # type: ignore[misc]


def _folder(path: Path, uid: int, gid: int, mode: int) -> Iterator[Step]:
    def make() -> None:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.chown(path, uid, gid, follow_symlinks=False)
        path.chmod(mode)

    facts = path.stat() if path.exists() else None
    if facts is None or (facts.st_uid, facts.st_gid, facts.st_mode & 0o7777) != (uid, gid, mode):
        yield Step(f"folder {path}: {_user(uid)}, {mode:04o}", make)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def folders(settings: Settings, who: Identities) -> Iterator[Step]:
    """Folders with their owners; a volume gets its mark only when it is empty or has one already."""
    yield from _folder(Path(settings.state_dir), 0, who.mail.gid, PASSABLE)
    if Path(settings.run_dir).parent != Path("/run"):  # systemd makes that at each start
        yield from _folder(Path(settings.run_dir), 0, who.mail.gid, PASSABLE)
    for volume in settings.store.volumes.values():
        path = Path(volume.path)
        yield from _folder(path, who.mail.uid, who.mail.gid, 0o700)
        marker = path / STORE
        if not marker.exists():

            def mark(path: Path = path, marker: Path = marker) -> None:
                prepare_volume(path)
                os.chown(marker, who.mail.uid, who.mail.gid)

            yield Step(f"mark {path} as a volume ({STORE})", mark)


def secrets(settings: Settings, who: Identities) -> Iterator[Step]:
    """The directory's password is for the agent's group, and for nobody else."""
    name = settings.directory.bind.password_file
    path = Path(name)
    if not name or not path.exists():
        return
    facts = path.stat()
    if not may(who.directory, path, 4) or facts.st_mode & 0o007:

        def close() -> None:
            os.chown(path, facts.st_uid, who.directory.gid)
            path.chmod(0o640)

        yield Step(f"{path}: for group {_group(who.directory.gid)} only, 0640", close)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def units(settings: Settings, configuration: Path, program: Path, folder: Path, *, sockets: bool) -> Iterator[Step]:
    """The systemd unit, and those of its sockets when they are wanted; where they are missing or others."""
    texts = {NAME: unit(settings, program, configuration.absolute(), systemd_version())}
    if sockets:
        texts |= socket_units(settings)
    for name, text in texts.items():
        yield from _unit_file(folder / name, text)


def _unit_file(path: Path, text: str) -> Iterator[Step]:
    folder = path.parent

    def write() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        if folder == UNIT_FOLDER and Path("/run/systemd/system").exists():
            _run("systemctl", "daemon-reload")

    if not path.exists() or path.read_text(encoding="utf-8", errors="replace") != text:
        yield Step(f"unit file {path}", write)


def own_program() -> Path:
    """The `gatepost` command as it was called, symbolic links kept: an upgrade turns the link."""
    found = shutil.which(sys.argv[0])
    if found is None or Path(found).name != "gatepost":
        found = str(Path(sys.executable).parent / "gatepost")
    return Path(found).absolute()


@click.command(name="setup")
@configuration_file
@click.option("--program", type=click.Path(path_type=Path), help="the gatepost command that the unit starts")
@click.option("--unit-folder", type=click.Path(path_type=Path), default=UNIT_FOLDER, show_default=True)
@click.option("--sockets", is_flag=True, help="a systemd socket for each service too: it starts with the first client")
@click.option("--links", "with_links", is_flag=True, help="sendmail, mailq and newaliases of this host are gatepost")
@click.option(
    "--root", type=click.Path(path_type=Path), default=Path("/"), show_default=True, help="stands before those links"
)
@click.option("--dry-run", is_flag=True, help="only say what would be done")
@for_machines
def command(
    path: Path, program: Path | None, unit_folder: Path, sockets: bool, with_links: bool, root: Path, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Make users, folders and the systemd unit of a configuration (as root); a second run finds nothing to do."""
    settings = load(path)
    if os.getuid() != 0 and not dry_run:
        click.echo("gatepost setup must be run as root", err=True)
        raise SystemExit(NOT_ALLOWED)
    done: list[str] = []

    def take(steps: Iterator[Step]) -> None:
        for step in steps:
            if not dry_run:
                step.act()
            done.append(step.text)

    take(users(settings))
    if not (dry_run and done):  # their numbers are not known before they are made
        who = identities(settings.run_as)
        take(folders(settings, who))
        take(secrets(settings, who))
    take(units(settings, path, program or own_program(), unit_folder, sockets=sockets))
    if with_links:
        take(links(root, program or own_program()))
    if as_json:
        click.echo(msgspec.json.encode({"done": [] if dry_run else done, "wanted": done if dry_run else []}))
        return
    for text in done:
        click.echo(f"{'would do: ' if dry_run else ''}{text}")
    if not done:
        click.echo("nothing to do")
