"""Autoconfig, as Thunderbird and others ask for it (draft-ietf-mailmaint-autoconfig)."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from webadmin.setup.services import Service

SOCKETS = {"implicit": "SSL", "starttls": "STARTTLS", "none": "plain"}


def document(domain: str, table: tuple[Service, ...]) -> bytes:
    """The clientConfig of a domain: every service, the best first; people log in with their address."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=domain)
    SubElement(provider, "domain").text = domain
    SubElement(provider, "displayName").text = domain
    SubElement(provider, "displayShortName").text = domain
    for each in table:
        kind = "outgoingServer" if each.protocol == "smtp" else "incomingServer"
        server = SubElement(provider, kind, type=each.protocol)
        for name, value in (
            ("hostname", each.host),
            ("port", str(each.port)),
            ("socketType", SOCKETS[each.tls]),
            ("authentication", "password-cleartext"),
            ("username", "%EMAILADDRESS%"),
        ):
            SubElement(server, name).text = value
    octets: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return octets
