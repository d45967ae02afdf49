"""Mail programs find out where mail is, each by the document of its maker; all say the same, and it works."""

from __future__ import annotations

import json
import plistlib
import ssl
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from conftest import RunningDemo
from cryptography.hazmat.primitives.serialization import pkcs7
from imapclient import IMAPClient
from visitor import Visitor, words

from gateway.config.load import load
from webadmin.settings import MtaStsSettings
from webadmin.setup import apple, mta_sts, pacc
from webadmin.setup.services import Service, services, srv_records

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]
OUTLOOK = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
ASKED = (
    '<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">'
    "<Request><EMailAddress>{}</EMailAddress><AcceptableResponseSchema>"
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
    "</AcceptableResponseSchema></Request></Autodiscover>"
)
TABLE = (
    Service("imaps", "imap", "mail.example.com", 993, "implicit"),
    Service("submissions", "smtp", "mail.example.com", 465, "implicit"),
    Service("submission", "smtp", "mail.example.com", 587, "starttls"),
)


def test_thunderbirds_document_names_servers_that_let_the_person_in(webbed: RunningDemo, visit: Visit) -> None:
    answer = visit().get("/mail/config-v1.1.xml?emailaddress=jane%40example.com")
    assert answer.headers["Content-Type"].startswith("application/xml")
    root = ET.fromstring(answer.content)
    incoming = root.findall("./emailProvider/incomingServer")
    assert [each.get("type") for each in incoming] == ["imap", "imap", "pop3", "pop3"]
    first = {each.tag: each.text or "" for each in incoming[0]}
    assert first["socketType"] == "SSL" and first["username"] == "%EMAILADDRESS%"
    tls = ssl.create_default_context(cafile=webbed.facts["ca_file"])
    with IMAPClient(first["hostname"], int(first["port"]), ssl_context=tls) as client:
        client.login(first["username"].replace("%EMAILADDRESS%", "jane@example.com"), "jane-demo-password")
    outgoing = root.findall("./emailProvider/outgoingServer")
    assert [each.findtext("socketType") for each in outgoing] == ["SSL", "STARTTLS"]


def test_outlook_is_led_from_version_2_to_version_1(webbed: RunningDemo, visit: Visit) -> None:
    outlook = visit()
    found = outlook.get("/autodiscover/autodiscover.json?Email=jane%40example.com&Protocol=AutodiscoverV1").json()
    assert found["Protocol"] == "AutodiscoverV1"
    answer = outlook.http.post(
        found["Url"], data=ASKED.format("jane@example.com"), headers={"Content-Type": "text/xml"}, timeout=30
    )
    root = ET.fromstring(answer.content)
    kinds = {each.findtext(f"{OUTLOOK}Type"): each for each in root.iter(f"{OUTLOOK}Protocol")}
    assert set(kinds) == {"IMAP", "POP3", "SMTP"}
    imap = kinds["IMAP"]
    assert (
        imap.findtext(f"{OUTLOOK}Port") == str(webbed.port("imaps"))
        and imap.findtext(f"{OUTLOOK}LoginName") == "jane@example.com"
    )
    assert imap.findtext(f"{OUTLOOK}Encryption") == "SSL"
    refused = outlook.get("/autodiscover/autodiscover.json/v1.0/jane@example.com?Protocol=EWS")
    assert refused.status_code == 400 and refused.json()["ErrorCode"] == "InvalidProtocol"


@pytest.mark.parametrize(
    ("body", "code"),
    [("", "600"), ("<x/>", "600"), (ASKED.format("jane@elsewhere.example"), "500"),
     ('<!DOCTYPE x [<!ENTITY a "jane@example.com">]>' + ASKED.format("&a;"), "600"),
     (ASKED.format("a" * 400 + "@example.com"), "600")],
    ids=["empty", "no request", "a foreign domain", "an entity", "too long"],
)  # fmt: skip
def test_requests_that_outlook_would_not_send(visit: Visit, body: str, code: str) -> None:
    answer = visit().http.post(visit().base + "/autodiscover/autodiscover.xml", data=body, timeout=30)
    assert answer.status_code == 200 and f"<ErrorCode>{code}</ErrorCode>" in answer.text


def test_every_address_of_a_domain_gets_the_same_answer_and_no_other_domain_any(visit: Visit) -> None:
    somebody = visit()
    known, unknown = (
        somebody.get(f"/mail/config-v1.1.xml?emailaddress={name}@example.com") for name in ("jane", "nobody")
    )
    assert known.status_code == unknown.status_code == 200 and known.content == unknown.content
    for path in ("/mail/config-v1.1.xml?emailaddress=a@elsewhere.example", "/mail/config-v1.1.xml?emailaddress=a@", "/.well-known/mta-sts.txt", "/.well-known/user-agent-configuration.json"):  # fmt: skip
        assert somebody.get(path).status_code == 404, path
    by_host = somebody.get("/.well-known/autoconfig/mail/config-v1.1.xml", headers={"Host": "autoconfig.example.org"})
    assert by_host.status_code == 200 and 'id="example.org"' in by_host.text


def test_apples_profile_is_the_persons_and_signed(webbed: RunningDemo, visit: Visit) -> None:
    answer = visit("jane").get("/devices/profile.mobileconfig")
    assert answer.headers["Content-Type"] == "application/x-apple-aspen-config"
    (certificate,) = list(pkcs7.load_der_pkcs7_certificates(answer.content))[:1]
    assert "localhost" in certificate.subject.rfc4514_string() or certificate.subject
    start = answer.content.index(b"<?xml")
    plist = answer.content[start : answer.content.index(b"</plist>") + 8]
    (account,) = plistlib.loads(plist)["PayloadContent"]
    assert (
        account["IncomingMailServerPortNumber"] == webbed.port("imaps")
        and account["EmailAddress"] == "jane@example.com"
    )
    assert visit().get("/devices/profile.mobileconfig").url.split("?")[0].endswith("/login")


def test_the_page_tells_a_person_what_to_type(webbed: RunningDemo, visit: Visit) -> None:
    jane = visit("jane")
    page = words(jane.get("/devices/"))
    assert str(webbed.port("submissions")) in page and "jane@example.com" in page
    code = jane.get("/devices/code.svg")
    assert code.headers["Content-Type"].startswith("image/svg+xml") and b"<path" in code.content


def test_documents_for_a_whole_installation(webbed: RunningDemo) -> None:
    found = pacc.document("example.com", TABLE, "https://mail.example.com/devices/")
    assert found is not None and found["protocols"] == {
        "imap": {"host": "mail.example.com"},
        "smtp": {"host": "mail.example.com"},
    }
    assert pacc.document("example.com", (Service("imaps", "imap", "h", 2993, "implicit"),), "") is None
    text = mta_sts.document(MtaStsSettings("enforce", ("mx1.example.com", "*.mx.example.com"), 86_400), "h")
    assert (
        text == "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.com\r\nmx: *.mx.example.com\r\nmax_age: 86400\r\n"
    )
    assert mta_sts.document(MtaStsSettings(), "h") is None
    assert (
        srv_records("example.com", TABLE, "mail.example.com")[0]
        == "_imaps._tcp.example.com. IN SRV 0 1 993 mail.example.com."
    )
    table = services(load(Path(webbed.facts["config_file"])))
    assert [each.name for each in table] == ["imaps", "imap", "pop3s", "pop3", "submissions", "submission"]
    assert apple.document("a@example.com", "", ()) is None
    json.dumps(found)
