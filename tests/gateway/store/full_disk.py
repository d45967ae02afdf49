"""Delivery until the disk is full and on from there; run by a test in a mount namespace of its own, with a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from store_bench import BODY, Bench, person

from directory.model import Condition, Deferred
from gateway.store import markers
from gateway.store.settings import StoreSettings, Volume
from gateway.store.stores import Stores

ANN = person()


def main(folder: Path) -> None:
    small_disk = folder / "small"
    small_disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small_disk], check=True)
    bench = Bench(folder)
    markers.prepare_volume(small_disk)
    stores = Stores(StoreSettings(volumes={"main": Volume(path=str(small_disk))}), bench.repository)
    body = BODY + b"x" * 20_000
    taken, problem = 0, None
    while problem is None and taken < 1_000:
        try:
            stores.deliver(ANN, [body], len(body), len(body), "")
            taken += 1
        except Deferred as error:
            problem = error.condition
    assert problem is Condition.STORE_UNAVAILABLE
    assert taken > 3
    maildir = Path(stores.open(ANN).path)
    assert os.listdir(maildir / "tmp") == []
    row = stores.open_mailbox(ANN, "INBOX")
    messages = bench.repository.messages(ANN.id, row.id)
    assert len(messages) == len(os.listdir(maildir / "cur")) == taken
    account = bench.repository.account(ANN.id)
    assert account is not None
    assert (account.used_bytes, account.used_messages) == (taken * len(body), taken)
    stores.expunge(ANN, row, [m.uid for m in messages])
    stores.deliver(ANN, [body], len(body), len(body), "")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
