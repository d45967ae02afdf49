"""Configuration section `web`: the browser front end."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gateway.service.oidc_settings import OidcSettings


class MtaStsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `web.mta_sts`: what https://mta-sts.DOMAIN/.well-known/mta-sts.txt says for each own domain."""

    #: none (nothing is published), testing, or enforce: hosts that cannot reach us protected do not deliver
    mode: Literal["none", "testing", "enforce"] = "none"
    #: names that MX records of the domains have, as in mx1.example.com or *.example.com; () = this host's name
    mx: tuple[str, ...] = ()
    #: seconds for which others keep the policy
    max_age: Annotated[int, msgspec.Meta(ge=86_400, le=31_557_600)] = 7 * 86_400


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The web front end: administration, self-service, webmail."""

    #: address and port, as in 127.0.0.1:8080 or [::]:443; "" = no web front end
    listen: str = ""
    #: none (behind a proxy that speaks TLS, or on loopback) or implicit (https with the certificate of section tls)
    tls: Literal["none", "implicit"] = "none"
    #: what people type in their browsers, as in https://mail.example.com; stands in mail with links
    url: str = ""
    #: the name that mail programs are told to connect to; "" = this host's (hostname)
    client_host: str = ""
    mta_sts: MtaStsSettings = MtaStsSettings()
    oidc: OidcSettings = OidcSettings()
    #: domains in which people may apply for a mailbox, which somebody who administers the domain grants; needs web.url
    sign_up: tuple[str, ...] = ()
    #: addresses or networks of proxies whose X-Forwarded-For is believed
    trusted_proxies: tuple[str, ...] = ()
    #: requests of an account's programs in a minute (/api/v1)
    api_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 600
    #: seconds until somebody has to log in again
    session: Annotated[int, msgspec.Meta(ge=60, le=30 * 86_400)] = 12 * 3600
    #: requests answered at the same time
    threads: Annotated[int, msgspec.Meta(ge=2, le=128)] = 16
    #: octets of a request at most: a message with its attachments
    max_request: Annotated[int, msgspec.Meta(ge=1 << 16, le=1 << 30)] = 64 << 20
