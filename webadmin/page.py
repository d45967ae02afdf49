"""A page and its place in the menu: one module in `webadmin.pages` with `bp` (a blueprint) and `PAGE`.

What PAGE says is all there is to say: menu, title, who may open it. A view is never reached by somebody without the role.
"""

from __future__ import annotations

from dataclasses import dataclass

from webadmin.person import ANYBODY

#: groups of the menu, in their order
MAIL, SELF, ACCOUNTS, SYSTEM = "Mail", "My account", "Accounts", "System"
GROUPS = (MAIL, SELF, ACCOUNTS, SYSTEM)


@dataclass(frozen=True, slots=True)
class Page:
    """`group` None = not in the menu; `needs` None = also for people who are not logged in; several roles = any of them."""

    title: str
    group: str | None = None
    needs: tuple[str, ...] | None = (ANYBODY,)
    #: endpoint that the menu leads to, within the blueprint
    start: str = "index"
    #: its place within the group
    order: int = 100
