"""The headers of every answer: what the browser may load, and from where, which is here and nowhere else."""

from __future__ import annotations

from flask import Response

#: no inline script, no inline style element; pictures of mail that the reader asked for are shown in a frame of its own policy
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "frame-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "manifest-src 'self'",
)
CONTENT_SECURITY_POLICY = "; ".join(_POLICY)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def protect(response: Response, *, is_https: bool) -> Response:
    """Add what the view has not set itself; a browser that came by https comes by nothing else from then on."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if is_https:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
