"""How mailing lists are run (configuration section `lists`). Times in seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

from directory.model.units import Count, Seconds


class ListSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `lists`."""

    #: the list's address instead of the author's in From of copies for members outside, the author in Reply-To:
    #: "dmarc" where the author's domain forbids others to send as him, "always", or "never"
    own_from: Literal["dmarc", "always", "never"] = "dmarc"
    #: a member whose copies bounced so often gets nothing more until an owner lets him in again; a failure for
    #: good counts 1, one after days of trying a half
    bounce_limit: Count = 5
    #: a member without a bounce for so long starts at 0
    bounce_forget: Seconds = 7 * 86400.0
    #: a post that no moderator decided on for so long is thrown away
    held_lifetime: Seconds = 7 * 86400.0
    #: days in which somebody may confirm that he wants to subscribe or unsubscribe
    confirm_days: Count = 3
    #: more posts than this wait for moderators, and the next ones wait in the queue
    max_held: Count = 10_000
