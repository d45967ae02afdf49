"""The JSON interface at /api/v1: tokens in, problems as RFC 9457 has them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Blueprint, Response, current_app, g, request
from flask.typing import ResponseReturnValue

from webadmin.api.document import document
from webadmin.api.operations import OPERATIONS, Operation
from webadmin.api.pace import Answers, Pace
from webadmin.api.problem import problem
from webadmin.backend import Changed, NotPossible, SessionEnded, Unavailable
from webadmin.page import Page
from webadmin.person import ask

PAGE = Page("Interface for programs", needs=None)
PREFIX = "/api/v1"  # errors.py answers as programs want it below /api/
TOKEN = "gpk_"
MAX_BODY = 1 << 20  # octets
INVALID, TEMPORARY, NOT_ALLOWED = 2, 4, 5
bp = Blueprint("api", __name__, url_prefix=PREFIX)
#: nothing here looks at a cookie, so no other site can use one
CSRF_FREE_BLUEPRINT = True
_answers = Answers()


def _pace() -> Pace:
    found = current_app.extensions.get("gatepost_pace")
    if found is None:
        found = current_app.extensions["gatepost_pace"] = Pace(
            current_app.extensions["gatepost_settings"].api_per_minute
        )
    pace: Pace = found
    return pace


def _token() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip().startswith(TOKEN) else ""


def _view(operation: Operation) -> Callable[..., ResponseReturnValue]:
    def view(**path: str) -> ResponseReturnValue:
        g.bearer = _token()
        if not g.bearer:
            text = "send Authorization: Bearer and a token of a program (gatepost user token add)"
            return problem(401, text, **{"WWW-Authenticate": "Bearer"})
        try:
            return _answer(operation, path)
        except SessionEnded:
            return problem(
                401, "the token is unknown, revoked or expired", **{"WWW-Authenticate": 'Bearer error="invalid_token"'}
            )
        except Unavailable as error:
            return problem(503, str(error), **{"Retry-After": "10"})
        except NotPossible as error:
            return _refused(error)
        except msgspec.ValidationError as error:
            return problem(400, str(error))

    return view


def _answer(operation: Operation, path: dict[str, str]) -> Response:
    who = ask("program-token")
    g.bearer_login = who["login"]
    wait = _pace().wait(who["account"])
    if wait:
        return problem(429, "too many requests", **{"Retry-After": str(int(wait) + 1)})
    if operation.changes and who["scope"] != "write":
        return problem(403, "this token is for reading only")
    data = _data(operation)
    if isinstance(data, Response):
        return data
    key = request.headers.get("Idempotency-Key", "")[:200] if operation.changes else ""
    asked = hashlib.sha256(msgspec.json.encode([operation.id, path, data])).hexdigest()
    known = _answers.of(who["account"], key) if key else None
    if known is not None:
        if known[0] != asked:
            return problem(409, "this Idempotency-Key was used for another request")
        return Response(known[2], known[1], content_type="application/json")
    result = ask(operation.verb, operation.socket, **operation.build(path, data))
    octets = json.dumps(result, ensure_ascii=False).encode()
    if key:
        _answers.keep(who["account"], key, asked, operation.status, octets)
    return Response(octets, operation.status, content_type="application/json")


def _data(operation: Operation) -> dict[str, Any] | Response:
    """Body or query in the form that the operation wants. Raises msgspec.ValidationError."""
    if operation.body is not None:
        if request.mimetype != "application/json":
            return problem(415, "send the body as application/json")
        octets = request.get_data(cache=False)
        if len(octets) > MAX_BODY:
            return problem(413, f"at most {MAX_BODY} octets")
        try:
            found: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(octets, type=operation.body))
        except msgspec.DecodeError as error:
            return problem(400, str(error))
        return found
    if operation.query is not None:
        for name in request.args:
            if len(request.args.getlist(name)) > 1:
                return problem(400, f"{name} is given more than once")
        given = msgspec.convert(dict(request.args), operation.query, strict=False)
        return dict(msgspec.to_builtins(given))
    return {}


def _refused(error: NotPossible) -> Response:
    text = error.said  # programs read English
    if error.code == NOT_ALLOWED:
        return problem(403, text)
    if isinstance(error, Changed):
        return problem(412, text)
    if error.code == INVALID:
        return problem(400, text)
    missing = text.startswith(("no ", "nobody has", "there is no ")) or text.endswith("is gone from the directory")
    return problem(404 if missing else 409, text)


for _operation in OPERATIONS:
    bp.add_url_rule(
        _operation.path.replace("{", "<").replace("}", ">"),
        _operation.id,
        _view(_operation),
        methods=[_operation.method],
    )


@bp.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """The document, for everybody: it tells nothing of this installation."""
    url = current_app.extensions["gatepost_settings"].url or request.host_url.rstrip("/")
    return Response(json.dumps(document(url + PREFIX)), content_type="application/json")
