"""Autodiscover, as Outlook asks for it: version 1 in XML ([MS-OXDSCLI]), version 2 in JSON, which leads to version 1."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, tostring

from webadmin.setup.services import Service, best

REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
MAX_REQUEST = 65_536  # octets
_ADDRESS = re.compile(rb"<(?:[A-Za-z0-9]{1,20}:)?EMailAddress>\s*([^<\s]{3,320})\s*</")
TYPES = {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}
ENCRYPTION = {"implicit": "SSL", "starttls": "TLS", "none": "None"}


def asked_address(body: bytes) -> str:
    """The address that a request is about, "" for none. The request is looked at as text: an XML parser would follow
    what a stranger declares in it."""
    found = _ADDRESS.search(body[:MAX_REQUEST])
    return found[1].decode("utf-8", "replace").replace("&amp;", "&") if found else ""


def document(address: str, table: tuple[Service, ...]) -> bytes:
    """The answer for a person: the best service of each protocol."""
    root = Element("Autodiscover", xmlns=RESPONSE)
    response = SubElement(root, "Response", xmlns=OUTLOOK)
    SubElement(SubElement(response, "User"), "DisplayName").text = address
    account = SubElement(response, "Account")
    SubElement(account, "AccountType").text = "email"
    SubElement(account, "Action").text = "settings"
    for protocol, kind in TYPES.items():
        each = best(table, protocol)
        if each is None:
            continue
        found = SubElement(account, "Protocol")
        for name, value in (
            ("Type", kind),
            ("Server", each.host),
            ("Port", str(each.port)),
            ("LoginName", address),
            ("DomainRequired", "off"),
            ("SPA", "off"),
            ("SSL", "off" if each.tls == "none" else "on"),
            ("Encryption", ENCRYPTION[each.tls]),
            ("AuthRequired", "on"),
        ):
            SubElement(found, name).text = value
    octets: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return octets


def refusal(code: int, text: str) -> bytes:
    """The answer to a request that cannot be answered (600 = it is none, 500 = the address is not ours)."""
    root = Element("Autodiscover", xmlns=RESPONSE)
    error = SubElement(SubElement(root, "Response"), "Error", Time="00:00:00", Id="0")
    SubElement(error, "ErrorCode").text = str(code)
    SubElement(error, "Message").text = text
    octets: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return octets
