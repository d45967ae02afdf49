"""A passkey is made and used in a real browser with an authenticator of its own (WebAuthn over the devtools protocol)."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from conftest import GATEPOST, RunningDemo

pytestmark = pytest.mark.xdist_group("web")
PASSWORD = "passkey-demo-password"
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True,
    "hasResidentKey": True, "automaticPresenceSimulation": True,
}  # fmt: skip


def test_a_passkey_is_made_and_opens_the_door(browse: Any, webbed: RunningDemo) -> None:
    words = ("user", "add", "passkey", "--name", "Pat Passkey", "--address", "passkey@example.com", "--password-stdin")
    command = [*GATEPOST, *words, "--config", webbed.facts["config_file"]]
    subprocess.run(command, input=f"{PASSWORD}\n", text=True, timeout=60, check=True, capture_output=True)
    visit = browse("passkey")
    tools = visit.context.new_cdp_session(visit.page)
    tools.send("WebAuthn.enable")
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page = visit.open("/second-factor/")
    visit.picture("second-factor-none")
    form = page.locator("form.passkey-make")
    form.locator("[name=password]").fill("wrong")
    form.locator("button").click()
    page.wait_for_selector("form.passkey-make .problem:visible")
    assert "not right" in form.locator(".problem").inner_text()
    visit.problems = [said for said in visit.problems if "409" not in said]
    form.locator("[name=name]").fill("This laptop")
    form.locator("[name=password]").fill(PASSWORD)
    form.locator("button").click()
    page.wait_for_selector(".codes")
    assert page.locator(".codes li").count() == 10
    visit.picture("second-factor-codes")
    page.click("text=I have kept them")
    page.wait_for_selector("text=This laptop")
    visit.picture("second-factor")

    visit.context.clear_cookies()
    visit.open("/login")
    page.fill("input[name=login]", "passkey")
    page.fill("input[name=password]", PASSWORD)
    page.click("form[action$='/login'] button")
    page.wait_for_selector("form.passkey-use button:visible")
    visit.picture("second-step")
    page.click("form.passkey-use button")
    page.wait_for_url(lambda url: "/login" not in url)
    assert "Pat Passkey" in page.content()
