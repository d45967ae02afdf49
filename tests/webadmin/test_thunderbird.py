"""Thunderbird sets up an account from an address and a password, by its own code, and reads the mail.

The program asks `http://autoconfig.example.com/mail/config-v1.1.xml`; DNS and port 80 are stood in for by its own setting for a
proxy, which names the front end's port.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunningDemo
from imapclient import IMAPClient
from marionette import THUNDERBIRD, Thunderbird

from gateway.control.client import call

pytestmark = [
    pytest.mark.xdist_group("web"),
    pytest.mark.skipif(THUNDERBIRD is None, reason="no Thunderbird: apt-get install thunderbird"),
]

PASSWORD = "a bird's password 1"
#: what its page for a new account does with what somebody typed (mail/components/accountcreation)
SET_UP = """
const [authority, address, password] = arguments;
const load = (name) => ChromeUtils.importESModule(`resource:///modules/accountcreation/${name}.sys.mjs`)[name];
Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB)
  .addCertFromBase64(authority.replace(/-----[^-]+-----|\\s/g, ""), "C,,");
const { signal } = new AbortController();
const search = load("FindConfig").parallelAutoDiscovery(address.split("@")[1], address, signal, password, "");
let step = await search.next();
while (!step.done) step = await search.next({ acceptRedirect: false });
const config = step.value;
if (!config) return { source: "nothing was found" };
const { incoming, outgoing } = config;
load("AccountConfig").replaceVariables(config, "Jane Doe", address, password);
config.rememberPassword = true;
incoming.password = password;
const verified = await new (load("ConfigVerifier"))(null, signal).verifyConfig(config);
const { incomingServer } = await load("CreateInBackend").createAccountInBackend(config);
return {
  source: config.source, type: incoming.type, port: incoming.port, username: incoming.username, sends: outgoing.port,
  verified: Boolean(verified), key: incomingServer.key,
};
"""
READ = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.getIncomingServer(arguments[0]);
const look = () => server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
const soon = (what) => new Promise((done) => {
  const timer = Cc["@mozilla.org/timer;1"].createInstance(Ci.nsITimer);
  let left = 1000;
  timer.initWithCallback(() => { if (what() || !left--) { timer.cancel(); done(); } }, 50, Ci.nsITimer.TYPE_REPEATING_SLACK);
});
server.performExpand(null);
await soon(look);
look().updateFolder(null);
await soon(() => look().getTotalMessages(false) > 0);
return [...look().msgDatabase.enumerateMessages()].map((message) => message.mime2DecodedSubject);
"""


@pytest.fixture
def thunderbird(webbed: RunningDemo, tmp_path: Path) -> Iterator[Thunderbird]:
    proxy = {
        "network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": webbed.port("web"),
        "network.proxy.no_proxies_on": "localhost,127.0.0.1",
    }  # fmt: skip
    made = Thunderbird(tmp_path, proxy)
    yield made
    made.close()


def test_an_address_and_a_password_are_enough(webbed: RunningDemo, thunderbird: Thunderbird) -> None:
    facts = {"login": "bird", "name": "Jane Bird", "addresses": ["bird@example.com"], "password": PASSWORD}
    call(webbed.folder / "run" / "control.sock", "add-user", **facts)
    with IMAPClient("127.0.0.1", port=webbed.port("imap"), ssl=False) as client:
        client.login("bird", PASSWORD)
        client.append("INBOX", b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n")
    authority = Path(webbed.facts["ca_file"]).read_text()
    found = thunderbird.run(SET_UP, authority, "bird@example.com", PASSWORD)
    key = found.pop("key", "")
    assert found == {
        "source": "xml", "type": "imap", "port": webbed.port("imaps"), "username": "bird@example.com",
        "sends": webbed.port("submissions"), "verified": True,
    }  # fmt: skip
    assert thunderbird.run(READ, key) == ["Grüße"]
