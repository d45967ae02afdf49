"""The OpenAPI 3.1 document of the interface, made from the table."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway import __version__
from webadmin.api.operations import OPERATIONS, Operation

REF = "#/components/schemas/{name}"
_BLANK = re.compile(r"\{(\w+)\}")
PROBLEMS = {
    "400": "The request is not well formed: the detail says what is wrong and what is allowed",
    "401": "No token, or one that has ended",
    "403": "Not within the rights of the token or of its owner",
    "404": "There is no such entry, or none that he may see",
    "409": "The answer is no: the detail says why",
    "412": "The entry was changed meanwhile: look at it again",
    "415": "The body is not application/json",
    "429": "Too many requests; Retry-After says when to come again",
    "503": "A part of the system does not answer at the moment",
}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 500}}
        for name in _BLANK.findall(operation.path)
    ]
    if operation.query is not None:
        (schema,), components = msgspec.json.schema_components([operation.query], ref_template=REF)
        for name, each in components[schema["$ref"].rpartition("/")[2]]["properties"].items():
            found.append({"name": name, "in": "query", "required": False, "schema": each})
    if operation.changes:
        text = "Send the same key again and get the same answer, without the change being made twice"
        key = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[\\x21-\\x7e]+$"}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "description": text, "schema": key})
    return found


def document(url: str) -> dict[str, Any]:
    """The document; `url` is where the interface is."""
    kinds = [each.body for each in OPERATIONS if each.body is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    of_kind = dict(zip(kinds, schemas, strict=True))
    components["Problem"] = {
        "type": "object",
        "description": "RFC 9457",
        "properties": {"title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
        "required": ["title", "status", "detail"],
    }
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}}
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        answers: dict[str, Any] = {
            str(operation.status): {"description": operation.summary, "content": {"application/json": {"schema": {}}}}
        }
        answers.update({code: {"description": text, "content": problem} for code, text in PROBLEMS.items()})
        row: dict[str, Any] = {
            "operationId": operation.id,
            "summary": operation.summary,
            "parameters": _parameters(operation),
            "responses": answers,
        }
        if operation.body is not None:
            row["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": of_kind[operation.body]}},
            }
        paths.setdefault(operation.path, {})[operation.method.lower()] = row
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatepost", "version": __version__, "description": "Administration for programs."},
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "gatepost user token add"}
            },
        },
    }
