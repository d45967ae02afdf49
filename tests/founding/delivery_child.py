"""Delivers messages into the store of one person, as a host does that has an index, or has none.

`python delivery_child.py VOLUME INDEX COUNT`, INDEX - = none; all is imported and open when it prints `ready`, and it
delivers when a line comes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from directory.model import Account
from gateway.store.settings import StoreSettings, Volume
from gateway.store.sqlite import SqliteRepository
from gateway.store.stores import Stores

ANN = Account(id="t:ann", dn="uid=ann", addresses=("ann@example.com",))


def open_stores(volume: Path, index: Path | None) -> Stores:
    settings = StoreSettings(volumes={"main": Volume(path=str(volume))})
    return Stores(settings, SqliteRepository(index) if index is not None else None)


def body(host: str, number: int) -> bytes:
    return b"Subject: %s %d\n\n" % (host.encode(), number) + b"a line of text\n" * 200


def main() -> None:
    volume, index, count = sys.argv[1:]
    stores = open_stores(Path(volume), None if index == "-" else Path(index))
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(count)):
        text = body("alone" if index == "-" else "indexed", number)
        stores.deliver(ANN, [text], len(text), len(text) + text.count(b"\n"), "ann@example.com")
    stores.close()


if __name__ == "__main__":
    main()
