"""Configuration section `web.oidc`: the agent asks the provider, the web front end shows the button."""

from __future__ import annotations

from typing import Annotated

import msgspec

#: path to which the provider sends browsers back; with web.url before it, what is registered there
OIDC_BACK = "/login/company/back"


class OidcSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `web.oidc`: signing in with the company's OpenID Connect provider, beside the password."""

    #: as the provider calls itself, as in https://sso.example.com/realms/staff; "" = there is none
    issuer: str = ""
    #: what Gatepost is registered as there, with the address of web.url followed by /login/company/back
    client_id: str = ""
    #: file with the secret of that registration, read at each sign-in by the agent; "" = a public client
    client_secret_file: str = ""
    #: what of a person's ID token is his login name or mail address here
    claim: str = "preferred_username"
    #: what is asked of the provider; `openid` among them
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    #: on the button; "" = the company account
    label: Annotated[str, msgspec.Meta(max_length=60)] = ""
    #: PEM file with the authorities that are believed for the provider; "" = those of the system
    ca_file: str = ""
