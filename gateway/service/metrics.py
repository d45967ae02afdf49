"""`/metrics` for Prometheus and `/health` for load balancers, on the loopback listener `metrics.listen`.

`/health` answers 200 while this host can serve (a worker is ready, the copy of the directory is complete),
else 503; what is wrong without stopping service stands in `degraded`. One request a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.config.settings import Settings
from gateway.observe import maillog
from gateway.observe.metrics import COUNTERS
from gateway.service.health import (
    State,
    directory_state,
    queue_at_work,
    queue_state,
    resident,
    sending_state,
    service_state,
    volumes_state,
)
from gateway.service.host import Host
from gateway.service.metrics_files import collect
from gateway.service.overview import Processes, read

MAX_REQUEST = 8192  # octets
REQUEST_SECONDS = 10.0
TEXT, JSON = "text/plain; version=0.0.4; charset=utf-8", "application/json"
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


def state(host: Host) -> dict[str, State]:
    """Service, directory, volumes and queue; called in a thread."""
    processes = read(Path(host.settings.run_dir))
    return {
        "service": service_state(processes),
        "directory": directory_state(host.directory.freshness()),
        "volumes": volumes_state(host.settings, processes),
        "queue": queue_state(host.settings),
        "sending": sending_state(host.settings),
    }


def health(found: dict[str, State]) -> tuple[int, bytes]:
    """Status code and body of `/health`."""
    serves = found["service"]["serving"] and found["directory"]["complete"]
    degraded = [name for name, part in found.items() if not part["ok"]]
    return (200 if serves else 503), msgspec.json.encode({"ok": serves, "degraded": degraded, **found})


class _Host(Collector):
    """What Prometheus gets."""

    def __init__(self, settings: Settings, found: dict[str, State]) -> None:
        self._settings, self._found = settings, found

    def collect(self) -> Iterator[Metric]:
        yield _labelled("gatepost_info", "Always 1; the version is its label", "version", {__version__: 1})
        counts = collect(Path(self._settings.run_dir))
        for counter in COUNTERS.values():
            family = CounterMetricFamily(f"gatepost_{counter.name}", counter.help, labels=counter.labels)
            if not counter.labels:
                family.add_metric([], counts.get((counter.name,), 0))
            for (name, *values), number in sorted(counts.items()):
                if name == counter.name and counter.labels and len(values) == len(counter.labels):
                    family.add_metric(values, number)
            yield family
        yield from self._processes(read(Path(self._settings.run_dir)))
        directory, queue = self._found["directory"], self._found["queue"]
        age = directory["age_seconds"]
        yield _plain("directory_age_seconds", "Seconds since the copy was last proven", -1 if age is None else age)
        yield _plain("directory_complete", "1 while the copy of the directory is complete", directory["complete"])
        yield _plain("directory_braked", "1 while the deletion brake holds entries", bool(directory["braked"]))
        down = self._found["volumes"]["down"]
        volumes = {name: float(down.get(name, 0)) for name in self._settings.store.volumes}
        yield _labelled("gatepost_volume_down", "Processes that get no answer from a volume", "volume", volumes)
        yield _plain("accounts_stopped", "Accounts that may not send", self._found["sending"]["stopped"])
        if queue["ok"]:
            states = {state: queue[state] for state in ("waiting", "deferred", "failed", "held")}
            yield _labelled("gatepost_queue_targets", "Targets of queued messages", "state", states)
        if "local" in queue:
            now = {where: queue[where] for where in ("local", "remote")}
            most = {where: queue[f"concurrency_{where}"] for where in ("local", "remote")}
            yield _labelled("gatepost_queue_deliveries", "Deliveries from the queue under way", "where", now)
            yield _labelled("gatepost_queue_deliveries_max", "How many may be under way", "where", most)

    @staticmethod
    def _processes(found: Processes | None) -> Iterator[Metric]:
        if found is None:
            return
        sessions, memory = dict[str, float](), dict[str, float]()
        for each in found.children:
            sessions[each.name] = sessions.get(each.name, 0) + each.sessions
            memory[each.name] = memory.get(each.name, 0) + resident(each.pid)
        yield _labelled("gatepost_sessions", "Open sessions", "process", sessions)
        yield _labelled("gatepost_resident_bytes", "Memory of the processes", "process", memory)
        family = CounterMetricFamily("gatepost_process_deaths", "Processes that died or hung", labels=["process"])
        for name, number in found.deaths.items():
            family.add_metric([name], number)
        yield family


def _plain(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"gatepost_{name}", text, value=float(value))


def _labelled(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def exposition(settings: Settings, found: dict[str, State]) -> bytes:
    """The body of `/metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Host(settings, found))
    return generate_latest(registry)


def answer(host: Host, method: str, path: str) -> tuple[int, str, bytes]:
    """Status code, content type and body; called in a thread."""
    path = path.partition("?")[0]
    if path not in ("/metrics", "/health"):
        return 404, TEXT, b"/metrics or /health\n"
    if method not in ("GET", "HEAD"):
        return 405, TEXT, b"GET or HEAD\n"
    found = state(host)
    if path == "/metrics":
        found["queue"] |= queue_at_work(host.settings)
        return 200, TEXT, exposition(host.settings, found)
    code, body = health(found)
    return code, JSON, body


class MetricsConnection(asyncio.Protocol):
    """One HTTP request."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._received = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        self._timer = asyncio.get_running_loop().call_later(REQUEST_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._task is not None:
            return
        self._received += data
        if b"\r\n\r\n" in self._received or b"\n\n" in self._received:
            words = self._received.split(b"\n", 1)[0].split()
            if len(words) == 3 and words[2].startswith(b"HTTP/1."):
                method, path = words[0].decode("latin-1"), words[1].decode("latin-1")
                self._task = asyncio.get_running_loop().create_task(self._answer(method, path))
                return
        elif len(self._received) <= MAX_REQUEST:
            return
        self._send("GET", 400, TEXT, b"not a request\n")

    async def _answer(self, method: str, path: str) -> None:
        try:
            self._send(
                method, *await asyncio.to_thread(answer, self._host, method, path)
            )  # not in the file pool, which may hang
        except Exception:
            maillog.bug(where="metrics")
            self._send(method, 503, TEXT, b"see the log\n")

    def _send(self, method: str, code: int, kind: str, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {code} {REASONS[code]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + (b"" if method == "HEAD" else body))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
