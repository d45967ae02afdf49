"""CPU to expand mailing lists and to write the list's copy: 10,000 members, three levels, half of them outside.

Run from the root of the sources: `python -m bench.list_expand [MEMBERS]`. The directory is in memory; the budget is
what `docs/howto/lists.md` promises: 10,000 members in less than 500 ms.
"""

from __future__ import annotations

import sys
import time

from directory.memory import MemorySource
from directory.model import MailingList
from directory.profile import Profile
from directory.raw import RawEntry
from directory.view import View
from gateway.lists.addresses import member_path
from gateway.lists.copy import AS_IT_IS, copied
from gateway.route.router import Router

BASE = "dc=example,dc=com"
BUDGET = 0.5  # CPU-seconds for 10,000


class Facts:
    """Nobody is parked; return paths are made as in service."""

    def parked(self, list_id: str) -> frozenset[str]:
        return frozenset()

    def no_copy(self, list_id: str) -> frozenset[str]:
        return frozenset()

    def path(self, mailing_list: MailingList, member: str) -> str | None:
        return member_path(mailing_list, b"k" * 32, member)


def entry(rdn: str, classes: str, **attributes: list[str]) -> RawEntry:
    values = {name.lower(): [value.encode() for value in some] for name, some in attributes.items()}
    return RawEntry(f"t:{rdn}", f"{rdn},{BASE}", values | {"objectclass": [c.encode() for c in classes.split()]})


def company(number: int) -> View:
    profile = Profile.load("native")
    source = MemorySource(profile)
    source.put(entry("cn=d", "gatepostEntry gatepostDomain", cn=["d"], gatepostDomainName=["example.com"]))
    people = [f"p{n}" for n in range(number // 2)]
    for uid in people:
        mail = [f"{uid}@example.com"]
        source.put(entry(f"uid={uid}", "inetOrgPerson gatepostAccount", uid=[uid], mail=mail, gatepostAddress=mail))
    outside = [f"o{n}@far.example" for n in range(number - len(people))]
    names = [f"uid={uid},{BASE}" for uid in people]
    for level, below in (("top", "middle"), ("middle", "low"), ("low", "top")):
        third = {"top": 0, "middle": 1, "low": 2}[level]
        source.put(
            entry(
                f"cn={level}", "gatepostEntry gatepostList", cn=[level], gatepostAddress=[f"{level}@example.com"],
                member=[*names[third::3], f"cn={below},{BASE}"], gatepostMemberAddress=outside[third::3],
                gatepostSubjectTag=["[top]"],
            )
        )  # fmt: skip
    return View(source, profile)


def main() -> None:
    """Print the figures; exit 1 over the budget."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    view = company(number)
    router = Router(view, lists=Facts())
    spent = []
    for _ in range(3):
        begin = time.process_time()
        plan = router.route("top@example.com", time.time())
        spent.append(time.process_time() - begin)
        assert len(plan.steps) == number, len(plan.steps)
    print(f"expand {number} members: first {spent[0] * 1000:.0f} ms, again {min(spent[1:]) * 1000:.0f} ms CPU")
    (top,) = view.owners("top@example.com")
    assert isinstance(top, MailingList)
    message = b"From: a@x.example\nTo: top@example.com\nSubject: hello\nMessage-ID: <1@x>\n\n" + b"text\n" * 400
    begin = time.process_time()
    for _ in range(1000):
        b"".join(copied([message], top, AS_IT_IS))
    print(f"list's copy of a 2 KiB message: {(time.process_time() - begin) * 1000:.0f} us CPU")
    sys.exit(min(spent) > BUDGET * number / 10_000)


if __name__ == "__main__":
    main()
