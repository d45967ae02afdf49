"""Control verbs for the keys that sign a domain's mail: what there is, new ones, and away with old ones. For administrators.

What `gatepost domain dkim` does, in the process that has the keys. Which of them sign is an attribute of the domain's
entry and is changed there; a key that signs is never removed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from directory.model import Domain, InvalidAddress, canonical_domain
from directory.port import Directory
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.files.durable import sync_folder
from gateway.observe.log import fields
from gateway.service.runner_actors import Actors
from gateway.service.signing import FOLDER, key_path, load_key, make_key

MAX_KEYS = 8  # of one name, as many as the page of its DNS records shows
_log = logging.getLogger("gatepost.dkim")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]


class OneDomain(msgspec.Struct, forbid_unknown_fields=True):
    """By name, or by one of its other names, which has keys of its own."""

    name: Name


class NewKeys(msgspec.Struct, forbid_unknown_fields=True):
    """An RSA key under `selector`, and an Ed25519 one under the same with `-ed`; "" = a name of this month."""

    name: Name
    selector: Annotated[str, msgspec.Meta(max_length=60)] = ""


class OldKey(msgspec.Struct, forbid_unknown_fields=True):
    """One that does not sign."""

    name: Name
    selector: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class DkimVerbs:
    """The verbs' functions; they run in threads."""

    def __init__(self, directory: Directory, actors: Actors, state_dir: Path) -> None:
        self._directory, self._actors, self._keys = directory, actors, state_dir / FOLDER

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "dkim-keys": Verb(Right.ACT, self._list, OneDomain),
            "dkim-make": Verb(Right.ACT, self._make, NewKeys),
            "dkim-remove": Verb(Right.ACT, self._remove, OldKey),
        }

    def _domain(self, name: str) -> tuple[Domain, str]:
        """The domain, and which of its names is meant. Raises VerbError."""
        try:
            label = canonical_domain(name)
        except InvalidAddress as error:
            raise VerbError(f"{name!r}: {error}", 2) from None
        found = self._directory.domain(label)
        if found is None or label not in (found.name, *found.aliases):
            raise VerbError(f"there is no domain {name!r}", 1)
        return found, label

    def _selectors(self, name: str) -> list[str]:
        return sorted(path.stem for path in (self._keys / name).glob("[!.]*.pem"))

    def _list(self, caller: Caller, wanted: OneDomain) -> list[dict[str, Any]]:
        self._actors.administrator(caller, to_change=False)
        domain, name = self._domain(wanted.name)
        signing = {selector.lower() for selector in domain.dkim_selectors}
        found = []
        for selector in self._selectors(name)[: 2 * MAX_KEYS]:
            path = key_path(self._keys, name, selector)
            row: dict[str, Any] = {
                "selector": selector, "record": f"{selector}._domainkey.{name}", "in_use": selector in signing,
                "algorithm": "", "value": "", "made": 0.0, "problem": "",
            }  # fmt: skip
            try:
                signer, row["value"] = load_key(path, name, selector)
                row["algorithm"], row["made"] = signer.algorithm, path.stat().st_mtime
            except (OSError, ValueError) as error:
                row["problem"] = str(error)[:500]
            found.append(row)
        return found

    def _make(self, caller: Caller, wanted: NewKeys) -> dict[str, Any]:
        actor = self._actors.administrator(caller)
        _, name = self._domain(wanted.name)
        present = self._selectors(name)
        if len(present) + 2 > MAX_KEYS:
            raise VerbError(f"{name} has {len(present)} keys; remove those that do not sign any more", 1)
        selector = wanted.selector.strip().lower() or _free(present, time.strftime("gp%Y%m"))
        made = [selector, f"{selector}-ed"]
        if taken := [each for each in made if each in present]:
            raise VerbError(f"there is a key {taken[0]}; choose another name", 1)
        try:
            make_key(key_path(self._keys, name, made[0]), "rsa-sha256")
            make_key(key_path(self._keys, name, made[1]), "ed25519-sha256")
        except ValueError as error:
            raise VerbError(str(error), 2) from None
        except OSError as error:
            raise VerbError(f"the keys cannot be written: {error.strerror}", 4) from None
        _log.info("%s", fields(event="dkim-keys-made", domain=name, selectors=",".join(made), by=actor.name))
        return {"name": name, "selectors": made}

    def _remove(self, caller: Caller, wanted: OldKey) -> dict[str, Any]:
        actor = self._actors.administrator(caller)
        domain, name = self._domain(wanted.name)
        if wanted.selector.lower() in {selector.lower() for selector in domain.dkim_selectors}:
            raise VerbError(f"{wanted.selector} signs the domain's mail; let others sign first", 1)
        try:
            path = key_path(self._keys, name, wanted.selector)
            path.unlink()
            sync_folder(str(path.parent))
        except (FileNotFoundError, ValueError):
            raise VerbError(f"there is no key {wanted.selector!r} of {name}", 1) from None
        except OSError as error:
            raise VerbError(f"{wanted.selector}: {error.strerror}", 4) from None
        _log.info("%s", fields(event="dkim-key-removed", domain=name, selector=wanted.selector, by=actor.name))
        return {"name": name, "selector": wanted.selector}


def _free(present: list[str], name: str) -> str:
    """A name that no key has."""
    return next(each for each in (name, *(f"{name}{letter}" for letter in "bcdefghijk")) if each not in present)
