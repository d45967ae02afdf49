"""Signing in with the company's OpenID Connect provider: a real one over TLS, one that lies, and one that is not there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyotp
import pytest
import requests
import yaml
from conftest import RunningDemo, eventually
from oidc_server import CLIENT, SECRET, OidcServer, follow
from visitor import Visitor, words

from gateway.config.meaning import _oidc
from gateway.control.client import call
from gateway.service.oidc_provider import MAX_ANSWER, Provider, Silent
from gateway.service.oidc_settings import OidcSettings

pytestmark = pytest.mark.xdist_group("web")
IN, OUT = "/mail/", "/login"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcServer]:
    made = OidcServer(tmp_path_factory.mktemp("provider"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def company(provider: OidcServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo that is told of the provider by a reload."""
    running = RunningDemo(tmp_path_factory.mktemp("company"), web=True)
    secret = running.folder / "oidc-secret"
    secret.write_text(f"{SECRET}\n")
    path = Path(running.facts["config_file"])
    settings = yaml.safe_load(path.read_text())
    settings["web"]["oidc"] = {
        "issuer": provider.issuer, "client_id": CLIENT, "client_secret_file": str(secret), "label": "Example ID",
        "ca_file": str(provider.ca_file),
    }  # fmt: skip
    path.write_text(yaml.safe_dump(settings))
    os.kill(int(Path(running.facts["pid_file"]).read_text()), signal.SIGHUP)

    def offered() -> bool:
        try:
            page = requests.get(running.facts["web"]["url"] + "/login/company", timeout=30, allow_redirects=False)
        except requests.ConnectionError:
            return False
        return page.status_code == 302

    eventually(offered, 60)
    yield running
    running.stop()


@pytest.fixture
def honest(provider: OidcServer) -> Iterator[OidcServer]:
    yield provider
    provider.honest()


class Browser(Visitor):
    """Somebody who has not signed in yet."""

    def __init__(self, demo: RunningDemo, provider: OidcServer) -> None:
        super().__init__(demo)
        self.provider = provider

    def sign_in(self, to: str = IN, change: Callable[[str], str] = str) -> requests.Response:
        """There and back; `change` is done to the address that the provider sends back to."""
        answer = self.get(f"/login/company?to={to}", allow_redirects=False)
        assert answer.status_code == 302, words(answer)
        back = follow(answer.headers["Location"], self.provider.ca_file)
        assert back.startswith(f"{self.base}/login/company/back?")
        return self.http.get(change(back), timeout=60)


@pytest.fixture
def browser(company: RunningDemo, honest: OidcServer) -> Iterator[Browser]:
    made = Browser(company, honest)
    yield made
    made.close()


def test_who_signed_in_there_reads_mail_here(browser: Browser, provider: OidcServer) -> None:
    assert "Sign in with Example ID" in words(browser.get("/login"))
    provider.claims = {"preferred_username": "jane"}
    page = browser.sign_in("/mail/%3Fmailbox=Sent")
    assert page.url.endswith("/mail/?mailbox=Sent") and page.status_code == 200 and "Jane" in words(page)
    assert "Jane" in words(browser.get("/self/sessions")) and len(provider.asked[-1]["code_verifier"]) >= 43
    assert "client_secret" not in provider.asked[-1], "it goes in the header"


def test_by_address_where_that_is_verified(company: RunningDemo, browser: Browser, provider: OidcServer) -> None:
    provider.claims = {"preferred_username": "GRACE@example.com"}
    assert browser.sign_in().url.endswith(IN)


NOW = int(time.time())
LIES: dict[str, dict[str, Any]] = {
    "another issuer": {"claims": {"iss": "https://elsewhere.example"}},
    "for another client": {"claims": {"aud": "other"}},
    "for several clients, by nobody": {"claims": {"aud": [CLIENT, "other"]}},
    "by another party": {"claims": {"azp": "other"}},
    "of another sign-in": {"claims": {"nonce": "x" * 32}},
    "of no sign-in": {"claims": {"nonce": None}},
    "over": {"claims": {"exp": NOW - 3600}},
    "from the future": {"claims": {"iat": NOW + 7200}},
    "without an end": {"claims": {"exp": None}},
    "of nobody": {"claims": {"preferred_username": None}},
    "of an object": {"claims": {"preferred_username": {"a": 1}}},
    "of nothing": {"claims": {"preferred_username": " "}},
    "of a stranger": {"claims": {"preferred_username": "nobody-of-ours"}},
    "a filter": {"claims": {"preferred_username": "*)(uid=jane"}},
    "by a key that is not published": {"header": {"kid": "two"}},
    "signed by nobody": {"signer": ("", "none")},
    "signed by a secret": {"signer": (b"x" * 64, "HS256")},
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_right_lets_nobody_in(browser: Browser, provider: OidcServer, lie: str) -> None:
    wrong = LIES[lie]
    provider.claims = {"preferred_username": "jane"} | wrong.get("claims", {})
    provider.header, provider.signer = wrong.get("header", {}), wrong.get("signer")
    page = browser.sign_in()
    assert page.status_code == 401 and ("not accepted" in words(page) or "no account here" in words(page)), words(page)
    assert OUT in browser.get("/mail/").url


def test_another_key_under_the_published_name(browser: Browser, provider: OidcServer) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    provider.claims = {"preferred_username": "jane"}
    provider.signer = (rsa.generate_private_key(65537, 2048), "RS256")
    assert browser.sign_in().status_code == 401
    provider.signer = (provider.other_key, "ES256")
    assert browser.sign_in().status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("state=", "state=x"),
        lambda url: url.replace("code=", "code=x"),
        lambda url: url.replace("iss=https", "iss=http"),
        lambda url: url.partition("&iss=")[0],
        lambda url: url.partition("?")[0],
        lambda url: url.partition("?")[0] + "?error=access_denied",
    ],
    ids=["state", "code", "issuer", "no issuer", "nothing", "refused"],
)
def test_what_comes_back_otherwise(browser: Browser, provider: OidcServer, change: Callable[[str], str]) -> None:
    provider.claims = {"preferred_username": "jane"}
    assert browser.sign_in(change=change).status_code == 401
    assert OUT in browser.get("/mail/").url


def test_an_answer_is_good_once_and_in_one_browser(
    company: RunningDemo, browser: Browser, provider: OidcServer
) -> None:
    provider.claims = {"preferred_username": "jane"}
    held: list[str] = []
    page = browser.sign_in(change=lambda url: (held.append(url), url)[1])
    assert page.url.endswith(IN)
    other = Browser(company, provider)
    for visitor in (other, browser):
        page = visitor.http.get(held[0], timeout=60)
        assert page.status_code == 401 and "did not begin it" in words(page)
    other.close()


def test_who_may_not_sign_in_by_password_may_not_so_either(
    company: RunningDemo, browser: Browser, provider: OidcServer
) -> None:
    facts = {"login": "oidcgone", "name": "Gone", "addresses": ["oidcgone@example.com"], "password": "a password 12"}
    status = [{"field": "status", "operation": "set", "values": ["noaccess"]}]
    call(company.folder / "run" / "control.sock", "add-user", changes=status, **facts)
    provider.claims = {"preferred_username": "oidcgone"}
    page = browser.sign_in()
    assert page.status_code == 401 and "no account here" in words(page)


def test_a_second_factor_is_asked_for(company: RunningDemo, browser: Browser, provider: OidcServer) -> None:
    facts = {"login": "oidctwo", "name": "Two", "addresses": ["oidctwo@example.com"], "password": "a password 12"}
    call(company.folder / "run" / "control.sock", "add-user", **facts)
    provider.claims = {"preferred_username": "oidctwo"}
    assert browser.sign_in().url.endswith(IN)
    page = browser.post("/second-factor/totp", password="a password 12")
    key = page.text.partition("secret=")[2][:32]
    browser.post("/second-factor/totp/finish", name="phone", code=pyotp.TOTP(key).now())
    assert "phone" in words(browser.get("/second-factor/"))
    browser.post("/logout")
    page = browser.sign_in("/self/data")
    assert "/login/second" in page.url and OUT in browser.get("/mail/").url


def test_where_the_provider_does_not_answer_the_password_does(
    company: RunningDemo, browser: Browser, provider: OidcServer
) -> None:
    assert browser.get("/login/company?to=//evil.example", allow_redirects=False).status_code == 302
    back = f"{browser.base}/login/company/back"
    held = provider.tokens
    provider.claims = {"preferred_username": "jane"}
    provider.tokens = lambda *_: (500, {})  # type: ignore[method-assign]
    try:
        page = browser.sign_in()
        assert page.status_code == 503 and "Your password still works" in words(page) and page.url.startswith(back)
    finally:
        provider.tokens = held  # type: ignore[method-assign]
    assert Visitor(company, "jane").get("/mail/").url.endswith("/mail/")


def of(provider: OidcServer, **more: Any) -> Provider:
    settings = OidcSettings(provider.issuer, CLIENT, ca_file=str(provider.ca_file))
    return Provider(msgspec.structs.replace(settings, **more))


def test_a_provider_that_is_not_the_one_is_not_believed(honest: OidcServer) -> None:
    assert of(honest).document().algorithms == ("RS256",)
    with pytest.raises(Silent, match="certificate"):
        of(honest, ca_file="").document()
    with pytest.raises(Silent, match="404"):
        of(honest, issuer=honest.issuer.replace("/realm", "/other")).document()
    for lie in ({"issuer": "https://elsewhere.example"}, {"token_endpoint": "http://localhost/token"}, {"jwks_uri": 7}):
        honest.document = lie
        with pytest.raises(Silent, match="discovery document"):
            of(honest).document()
    honest.document = {"padding": "x" * MAX_ANSWER}
    with pytest.raises(Silent, match="too much"):
        of(honest).document()


def test_trouble_is_not_asked_for_again_at_once(honest: OidcServer) -> None:
    honest.document = {"issuer": "https://elsewhere.example"}
    clock = [0.0]
    one = Provider(OidcSettings(honest.issuer, CLIENT, ca_file=str(honest.ca_file)), lambda: clock[0])
    for _ in range(2):
        with pytest.raises(Silent):
            one.document()
    honest.honest()
    with pytest.raises(Silent, match="a moment ago"):
        one.document()
    clock[0] = 11.0
    assert one.document().names_itself


def test_a_public_client_and_one_whose_secret_goes_in_the_form(honest: OidcServer, tmp_path: Path) -> None:
    public = of(honest)
    with pytest.raises(Silent, match="401"):
        public.id_token("code", "verifier", "https://mail.example.com/login/company/back")
    assert honest.asked[-1]["client_id"] == CLIENT and "client_secret" not in honest.asked[-1]
    honest.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    (tmp_path / "secret").write_text(SECRET)
    with pytest.raises(Silent, match="401"):
        of(honest, client_secret_file=str(tmp_path / "secret")).id_token("code", "verifier", "https://x.example")
    assert honest.asked[-1]["client_secret"] == SECRET
    with pytest.raises(Silent, match="client_secret_file"):
        of(honest, client_secret_file=str(tmp_path / "none")).id_token("code", "verifier", "https://x.example")


def test_what_is_wrong_in_the_configuration_is_told() -> None:
    found = {
        ".".join(map(str, steps)) for steps, _, *_ in _oidc(OidcSettings("http://x", claim="", scopes=("email",)), "")
    }
    assert found == {"web.oidc", "web.oidc.issuer", "web.oidc.client_id", "web.oidc.scopes", "web.oidc.claim"}
    assert list(_oidc(OidcSettings("https://x.example", "gatepost"), "https://mail.example.com")) == []
