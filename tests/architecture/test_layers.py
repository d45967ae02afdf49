"""The import rules of the map: lower layers never import higher ones, pure layers touch nothing outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {
    **dict.fromkeys(("ask", "mail", "mime", "sasl", "smtp", "imap", "pop3", "managesieve", "sieve"), 0),
    **dict.fromkeys(("policy", "route", "lists", "observe"), 1),
    **dict.fromkeys(("files", "store", "queue", "deliver", "filters", "control"), 2),
    "service": 3,
    **dict.fromkeys(("config", "cli", "imports", "backup", "__main__"), 4),
}
PROTOCOLS = {"smtp", "imap", "pop3", "managesieve", "sieve"}
# settings are values: service/ receives them, config/ only puts them together
ALLOWED_UP = {("service", "config")}
# the front end lies above all: its settings are put together with the others, its process is started from the command line
WEB = {("config", "webadmin.settings"), ("cli", "webadmin.process")}
EFFECTS = {
    "asyncio", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3", "ssl", "subprocess",
    "tempfile", "threading", "time", "ldap3", "lmdb", "select", "signal",
}  # fmt: skip
PURE = [
    p
    for p in sorted((ROOT / "gateway").rglob("*.py"))
    if LAYERS.get(p.relative_to(ROOT / "gateway").parts[0].removesuffix(".py"), 9) <= 1
]
# the writers that are given at start, and the counters, which threads share
WRITERS = {"gateway/observe/log.py", "gateway/observe/maillog.py", "gateway/observe/metrics.py"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package(path: Path) -> str:
    return path.relative_to(ROOT / "gateway").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted((ROOT / "gateway").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_import_of_a_higher_layer(path: Path) -> None:
    own = package(path)
    if own == "__init__":
        return
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "webadmin":
            assert (own, ".".join(parts[:2])) in WEB, f"{own} imports {module}"
        if parts[0] != "gateway" or len(parts) < 2 or parts[1] not in LAYERS:
            continue
        other = parts[1]
        assert LAYERS[other] <= LAYERS[own] or (own, other) in ALLOWED_UP, f"{own} imports {module}"
        if own in PROTOCOLS and other in PROTOCOLS:
            assert own == other, f"protocol {own} imports protocol {other}"


@pytest.mark.parametrize("path", sorted((ROOT / "gateway").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_lower_layers_see_only_the_directorys_model_and_port(path: Path) -> None:
    own = package(path)
    if LAYERS.get(own, 9) > 2:
        return
    for module in imports(path):
        if module.split(".")[0] == "directory" and module != "directory":
            assert module.startswith(("directory.model", "directory.port")), f"{own} imports {module}"


@pytest.mark.parametrize("path", PURE, ids=lambda p: str(p.relative_to(ROOT)))
def test_pure_layers_have_no_effects(path: Path) -> None:
    if str(path.relative_to(ROOT)) in WRITERS:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for module in imports(path):
        assert module.split(".")[0] not in EFFECTS, f"{path.name} imports {module}"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), (
            f"{path.name}:{node.lineno}: async in a pure layer"
        )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print"), f"{path.name}:{node.lineno}: {node.func.id}()"


@pytest.mark.parametrize("path", sorted((ROOT / "directory").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_directory_imports_neither_gateway_nor_web(path: Path) -> None:
    for module in imports(path):
        assert module.split(".")[0] not in ("gateway", "webadmin"), module


@pytest.mark.parametrize("folder", ["gateway", "directory"])
def test_long_files_state_their_reason(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 500 or "over 500 lines" in text, f"{path} is long and does not say why"
