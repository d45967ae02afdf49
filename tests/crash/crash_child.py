"""Children that do one thing with a store: words are ACTION FOLDER; all but `first` find stores there."""

from __future__ import annotations

from pathlib import Path

from children import begin, serve

from directory.model import Account
from gateway.store import markers
from gateway.store.settings import StoreSettings, Volume
from gateway.store.sqlite import SqliteRepository, repository
from gateway.store.stores import Stores, Target

SHARDS = 1  # opening a store is most of what a test does
BODY = b"Subject: crash\n\n" + b"one line of many\n" * 20_000
CRLF = len(BODY) + BODY.count(b"\n")
ANN = Account(id="t:ann", dn="uid=ann", addresses=("ann@example.com",))
BOB = Account(id="t:bob", dn="uid=bob", addresses=("bob@example.com",))


def open_stores(folder: Path) -> Stores:
    volume = folder / "mail"
    if not volume.exists():
        volume.mkdir(parents=True)
        markers.prepare_volume(volume)
    settings = StoreSettings(volumes={"main": Volume(path=str(volume))})
    return Stores(settings, SqliteRepository(folder / "index"))


def deliver(stores: Stores) -> None:
    outcomes = stores.deliver_many(
        [Target(ANN, "ann"), Target(BOB, "bob")], [BODY[:100_000], BODY[100_000:]], len(BODY), CRLF
    )
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def copy(stores: Stores) -> None:
    stores.copy(ANN, stores.open_mailbox(ANN, "INBOX"), [1, 2], "Work")


def move(stores: Stores) -> None:
    stores.move(ANN, stores.open_mailbox(ANN, "INBOX"), [1, 2], "Work")


def expunge(stores: Stores) -> None:
    stores.expunge(ANN, stores.open_mailbox(ANN, "INBOX"), [1, 2])


ACTIONS = {"first": deliver, "deliver": deliver, "copy": copy, "move": move, "expunge": expunge}


def prepare(stores: Stores) -> None:
    """Two messages for Ann and a mailbox beside her INBOX."""
    deliver(stores)
    deliver(stores)
    stores.create_mailbox(ANN, "Work")


def child(action: str, folder: str) -> None:
    stores = open_stores(Path(folder))
    if action != "first":
        prepare(stores)
    begin()
    ACTIONS[action](stores)


if __name__ == "__main__":
    repository.SHARDS = SHARDS
    serve(child)
