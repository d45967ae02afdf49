"""The policy of own domains for hosts that send us mail (RFC 8461 3.2)."""

from __future__ import annotations

from webadmin.settings import MtaStsSettings


def document(settings: MtaStsSettings, hostname: str) -> str | None:
    """The text of the policy; None where none is published."""
    if settings.mode == "none":
        return None
    lines = ["version: STSv1", f"mode: {settings.mode}"]
    lines += [f"mx: {name}" for name in settings.mx or (hostname,)]
    return "\r\n".join((*lines, f"max_age: {settings.max_age}", ""))
