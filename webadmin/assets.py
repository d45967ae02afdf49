"""Templates and static files, read once when this module is imported: before the process gives up root, so it needs no
access to where Gatepost is installed. Static files are kept compressed and served under a name with their checksum,
so a browser asks for each once.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request, url_for
from jinja2 import DictLoader

HERE = Path(__file__).parent
YEAR = 365 * 86_400
SMALL = 600  # octets that are not worth compressing
TEXT = (".css", ".js", ".svg", ".json", ".webmanifest")
bp = Blueprint("assets", __name__)


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file."""

    name: str
    mark: str
    kind: str
    plain: bytes
    packed: bytes | None


def _read(path: Path) -> Asset:
    plain = path.read_bytes()
    packed = gzip.compress(plain, 9, mtime=0) if path.suffix in TEXT and len(plain) > SMALL else None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    kind = "text/javascript" if path.suffix == ".js" else kind
    return Asset(str(path.relative_to(HERE / "static")), hashlib.sha256(plain).hexdigest()[:12], kind, plain, packed)


ASSETS = {
    asset.name: asset
    for path in sorted((HERE / "static").rglob("*"))
    if path.is_file() and path.suffix != ".md"
    for asset in (_read(path),)
}
TEMPLATES = {
    str(path.relative_to(HERE / "templates")): path.read_text(encoding="utf-8")
    for path in sorted((HERE / "templates").rglob("*"))
    if path.is_file()
}


def asset_url(name: str) -> str:
    """Where the browser gets a static file. Raises KeyError for one that is not there."""
    return url_for("assets.one", mark=ASSETS[name].mark, name=name)


@bp.get("/static/<mark>/<path:name>")
def one(mark: str, name: str) -> Response:
    """A static file; under another checksum it is served too, but not kept: the page is older than the program."""
    found = ASSETS.get(name)
    if found is None:
        abort(404)
    use_packed = found.packed is not None and "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(found.packed if use_packed and found.packed else found.plain, mimetype=found.kind)
    if use_packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if mark == found.mark else "no-cache"
    return response


def register(app: Flask) -> None:
    """Serve them, and let templates name them."""
    app.jinja_loader = DictLoader(TEMPLATES)
    app.jinja_env.globals["asset"] = asset_url
    app.register_blueprint(bp)
