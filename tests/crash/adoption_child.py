"""Children that take over a store of Dovecot for an account that has received something: the word is FOLDER."""

from __future__ import annotations

import os
from pathlib import Path

from children import begin, serve
from crash_child import ANN, SHARDS

from gateway.store import markers
from gateway.store.foreign.reading import ForeignStore
from gateway.store.settings import StoreSettings, Volume
from gateway.store.sqlite import SqliteRepository, repository
from gateway.store.stores import Stores

BODY = b"Subject: crash\n\nsmall\n"
OLD = {"cur": ("1.a:2,S", "2.b:2,"), "new": ("3.c",), ".Work/cur": ("4.d:2,F",)}


def open_stores(folder: Path) -> Stores:
    volume = folder / "mail"
    if not volume.exists():
        volume.mkdir(parents=True)
        markers.prepare_volume(volume)
    settings = StoreSettings(volumes={"main": Volume(path=str(volume))}, mailboxes={})
    return Stores(settings, SqliteRepository(folder / "index"))


def prepare(folder: Path, stores: Stores) -> None:
    for place in ("cur", "new", "tmp", ".Work/cur", ".Work/new", ".Work/tmp"):
        (folder / "old" / place).mkdir(parents=True)
        for file in OLD.get(place, ()):
            (folder / "old" / place / file).write_bytes(BODY)
    (folder / "old" / "dovecot-uidlist").write_text("3 V77 N9\n5 :1.a\n7 :2.b\n")
    stores.deliver(ANN, [BODY], len(BODY), len(BODY) + BODY.count(b"\n"), "ann")


def take_over(folder: Path, stores: Stores) -> None:
    stores.take_over(ANN, ForeignStore("dovecot", os.path.join(folder, "old")), merge=True)


def child(folder: str) -> None:
    stores = open_stores(Path(folder))
    prepare(Path(folder), stores)
    begin()
    take_over(Path(folder), stores)


if __name__ == "__main__":
    repository.SHARDS = SHARDS
    serve(child)
