"""Configuration section `web`: the browser front end."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The web front end: administration, self-service, webmail."""

    #: address and port, as in 127.0.0.1:8080 or [::]:443; "" = no web front end
    listen: str = ""
    #: none (behind a proxy that speaks TLS, or on loopback) or implicit (https with the certificate of section tls)
    tls: Literal["none", "implicit"] = "none"
    #: what people type in their browsers, as in https://mail.example.com; stands in mail with links
    url: str = ""
    #: addresses or networks of proxies whose X-Forwarded-For is believed
    trusted_proxies: tuple[str, ...] = ()
    #: seconds until somebody has to log in again
    session: Annotated[int, msgspec.Meta(ge=60, le=30 * 86_400)] = 12 * 3600
    #: requests answered at the same time
    threads: Annotated[int, msgspec.Meta(ge=2, le=128)] = 16
    #: octets of a request at most: a message with its attachments
    max_request: Annotated[int, msgspec.Meta(ge=1 << 16, le=1 << 30)] = 64 << 20
