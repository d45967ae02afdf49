"""Where stores lie and how durable they are (configuration section `store`)."""

from __future__ import annotations

from typing import Literal

import msgspec


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file system that holds stores."""

    path: str
    durability: Literal["fsync", "syncfs"] = "fsync"
    path_template: str = "{hash[0]}{hash[1]}/{hash[2]}{hash[3]}/{id}/Maildir"


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `store`."""

    volumes: dict[str, Volume] = {}
    default_volume: str = ""
