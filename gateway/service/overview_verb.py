"""Control verb `overview`: how this host is and what it did, for the dashboard. For administrators."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.files.history import FIGURES, Row, rows
from gateway.service.host import Host
from gateway.service.metrics import state
from gateway.service.runner_actors import Actors
from gateway.service.sampling import FILE, Sampler
from gateway.store.domain_use import FILE as DOMAIN_SUMS
from gateway.store.domain_use import read_sums

MAX_POINTS = 1500
FULL = 0.9  # of a volume
MAX_NAMED = 20  # of accounts, messages and domains that a warning speaks of


class AskOverview(msgspec.Struct, forbid_unknown_fields=True):
    """`span`: by the minute for a day, or by the quarter of an hour for a week or thirty days."""

    span: Literal["day", "week", "month"] = "day"


_SECONDS = {"day": 86_400.0, "week": 7 * 86_400.0, "month": 30 * 86_400.0}


class OverviewVerb:
    """The verb's function; it runs in a thread."""

    def __init__(self, host: Host, sampler: Sampler, actors: Actors) -> None:
        self._host, self._sampler, self._actors = host, sampler, actors

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"overview": Verb(Right.ACT, self._overview, AskOverview)}

    def _overview(self, caller: Caller, wanted: AskOverview) -> dict[str, Any]:
        self._actors.administrator(caller, to_change=False)
        settings, now = self._host.settings, time.time()
        found = state(self._host)
        try:
            history = rows(Path(settings.state_dir) / FILE, now, by_minute=wanted.span == "day")
        except OSError as error:
            raise VerbError(f"the history cannot be read: {error.strerror}", 4) from None
        history = [row for row in history if row[0] > now - _SECONDS[wanted.span]]
        last = history[-1] if wanted.span == "day" and history else None
        return {
            "at": now,
            "hostname": settings.hostname,
            "now": _named(last) if last is not None and last[0] > now - 180 else {},
            "state": {name: found[name] for name in ("service", "directory", "volumes")},
            "queue": {key: value for key, value in found["queue"].items() if key != "failures"},
            "volumes": self._sampler.volumes,
            "warnings": self._warnings(found),
            "history": {
                "span": wanted.span,
                "names": ["at", *FIGURES],
                "rows": [_plain(row) for row in _thin(history)],
            },
        }

    def _warnings(self, found: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
        """What somebody has to look at: a word that tells what it is, and facts."""
        settings, warnings = self._host.settings, list[dict[str, str]]()

        def warn(kind: str, detail: str = "") -> None:
            warnings.append({"kind": kind, "detail": detail[:500]})

        service, directory, queue = found["service"], found["directory"], found["queue"]
        if service["running"] and not service["ok"]:
            warn("processes", ", ".join(service["not_ready"]))
        if service.get("reload_problem"):
            warn("reload", str(service["reload_problem"]))
        if directory["braked"]:
            warn("deletions", directory["braked"])
        elif not directory["ok"]:
            warn("directory", directory["trouble"])
        for name in found["volumes"]["down"]:
            warn("volume", name)
        for volume in self._sampler.volumes:
            if volume["share"] >= FULL:
                warn("room", f"{volume['name']}: {volume['share'] * 100:.0f} %")
        if not queue["ok"]:
            warn("queue", queue["trouble"])
        elif queue["held"]:
            warn("held", str(queue["held"]))
        sending = found["sending"]
        if sending["stopped"]:
            warn("stopped", str(sending["stopped"]))
        sums = read_sums(Path(settings.state_dir) / DOMAIN_SUMS)
        for name in list(sums.full() if sums is not None else {})[:MAX_NAMED]:
            warn("domain", name)
        if settings.smtp.open_relay != "no":
            warn("relay")
        return warnings


def _named(row: Row) -> dict[str, float | None]:
    return dict(zip(FIGURES, _plain(row)[1:], strict=True))


def _plain(row: Row) -> list[float | None]:
    """NaN is no number in JSON."""
    return [None if math.isnan(value) else round(value, 3) for value in row]


def _thin(history: list[Row]) -> list[Row]:
    """At most so many points, each n-th of them."""
    step = -(-len(history) // MAX_POINTS) or 1
    return history[::-1][::step][::-1]
