"""Reports on delivery (configuration section `bounce`) and return paths of forwarded mail (section `srs`)."""

from __future__ import annotations

import msgspec

from directory.model.units import Count, Size


class BounceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `bounce`."""

    #: a larger message is not returned whole, only its header, and no more of that than this
    max_message_size: Size = 50 * 1024
    #: tell also senders for whom neither a login nor SPF nor DKIM vouches; spam then makes reports to people who
    #: never wrote
    to_strangers: bool = False


class SrsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `srs`."""

    #: own domain of the return paths that forwarded mail gets, so that it passes SPF at the next host; its MX
    #: records lead to hosts with the same keys; "" = forwarded mail keeps its return path
    domain: str = ""
    #: file with the keys, shared by all hosts of the domain; "" = srs.keys in state_dir
    key_file: str = ""
    #: days until the keys are renewed
    key_days: Count = 30
    #: days for which a report to such a return path finds its way back
    max_age_days: Count = 21
