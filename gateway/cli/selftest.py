"""gatepost selftest: does mail go through the live system as it should?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import msgspec

from gateway.cli.entries import read_password
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.cli.runs_as import mail_user_only
from gateway.config.load import load
from gateway.service.selftest.case import CASES, GROUPS, Result, chosen
from gateway.service.selftest.run import Interrupted, Run


def _names(_context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [name for name in names if name not in CASES and name not in GROUPS]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r}: there is {', '.join([*GROUPS, *CASES])}")
    return names


def _line(result: Result) -> str:
    """A result for a person."""
    if result.outcome == "skipped":
        return f"{result.name:<18} skipped            {result.reason}"
    lines = [f"{result.name:<18} {result.outcome:<7} {result.seconds * 1000:>7.0f} ms {result.note}".rstrip()]
    if result.outcome == "FAILED":
        lines += [f"    expected  {result.expected}", f"    came      {result.came}", f"    next      {result.advice}"]
    return "\n".join(lines)


def _sum(results: list[Result]) -> str:
    counts = Counter(result.outcome for result in results if result.name in CASES or result.outcome == "FAILED")
    told = ", ".join(f"{number} {outcome}" for outcome in ("ok", "FAILED", "skipped") if (number := counts[outcome]))
    return f"{told or 'nothing was tested'} ({sum(result.seconds for result in results):.1f} s)"


@click.command(name="selftest")
@click.argument("names", nargs=-1, metavar="[TEST]...", callback=_names)
@configuration_file
@click.option("--login", default="", metavar="LOGIN", help="test with this person; his password is asked for")
@click.option("--list", "only_list", is_flag=True, help="only say which tests there are")
@for_machines
def command(names: tuple[str, ...], path: Path, login: str, only_list: bool, as_json: bool) -> None:
    """Send mail through the running service and look what becomes of it; everything is removed again.

    TEST is a test or a group (deliver, receive); all of them without one. Entries for the tests are made in the
    directory, in a domain of their own. Exit code 1: a test failed, or none could be done.
    """
    cases = chosen(names)
    if only_list:
        for case in cases:
            click.echo(f"{case.name:<18} {case.about}")
        return
    settings = load(path)
    mail_user_only(settings, "test the service")
    password = read_password(f"Password of {login}") if login else ""

    def tell(result: Result) -> None:
        results.append(result)
        if not as_json:
            click.echo(_line(result))

    results: list[Result] = []
    is_whole = True
    try:
        Run(settings, path, cases, tell).run(login, password)
    except Interrupted:
        is_whole = False
    if as_json:
        click.echo(msgspec.json.encode({"whole": is_whole, "tests": results}).decode())
    else:
        click.echo(_sum(results) if is_whole else f"interrupted: {_sum(results)}")
    # entries that could be made and taken away test nothing
    if (
        not is_whole
        or any(r.outcome == "FAILED" for r in results)
        or not any(r.outcome == "ok" and r.name in CASES for r in results)
    ):
        raise SystemExit(NO)
