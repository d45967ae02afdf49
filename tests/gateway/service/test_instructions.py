"""What rules pass on: the message keeps all that is known of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from list_company import BASE, PROFILE, entry, person

from directory.memory import MemorySource
from directory.view import View
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.route.plan import Instructions
from gateway.route.router import Router
from gateway.service.instructions import RuleDesk
from gateway.service.program_client import Programs

OCTETS = b"From: jane@example.com\nX-Kind: news\n\nhello\n"


def test_a_message_that_rules_pass_on_stays_what_it_is(tmp_path: Path) -> None:
    dev = person("dev")
    dev.attributes["gatepostextension"] = [b"@ if header X-Kind news folder News", b"@ deliver"]
    domain = entry("cn=d", "gatepostEntry gatepostDomain", cn="d", gatepostDomainName="example.com")
    router = Router(View(MemorySource(PROFILE, (domain, dev)), PROFILE))
    (step,) = router.route("dev@example.com", 0.0).steps
    assert isinstance(step, Instructions)
    queue = QueueFolder(tmp_path / "queue", QueueSettings(min_free_bytes=0))
    desk = RuleDesk(queue, Programs(tmp_path, {}), router, tmp_path / "bell")
    came = QueuedEnvelope(
        "m1", "jane@example.com", 7.0, (Target("dev@example.com"),), len(OCTETS), len(OCTETS) + 4, {"ENVID": "x"},
        f"t:uid=jane,{BASE}", vouched=True, double_bounce=True, not_before=9.0, is_ours=True, is_junk=True,
    )  # fmt: skip
    asyncio.run(desk.handle(step, "list-bounces@example.com", came, lambda: iter((OCTETS,))))
    (number,) = queue.ids()
    found = queue.read(number)
    assert found.targets == (Target("dev@example.com", "t:uid=dev", mailbox="News"),)
    assert (found.return_path, found.arrival, found.not_before) == ("list-bounces@example.com", 7.0, 9.0)
    assert (found.parameters, found.login, found.vouched) == (came.parameters, came.login, True)
    assert found.is_ours
    assert found.is_junk
    assert found.double_bounce
    octets = b"".join(queue.content(number))
    assert octets == b"Delivered-To: dev@example.com\n" + OCTETS
    assert (found.size, found.crlf) == (len(octets), len(octets) + octets.count(b"\n"))
