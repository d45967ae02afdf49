"""What a program gets when something is not done (RFC 9457)."""

from __future__ import annotations

import json

from flask import Response

from webadmin.api.document import PROBLEMS


def problem(status: int, detail: str, **headers: str) -> Response:
    """The answer, with a title for the kind of trouble and the detail of this one."""
    title = PROBLEMS.get(str(status), "Not possible").partition(":")[0].partition(";")[0]
    octets = json.dumps({"title": title, "status": status, "detail": detail}, ensure_ascii=False).encode()
    response = Response(octets, status, content_type="application/problem+json")
    response.headers.update(headers)
    return response
