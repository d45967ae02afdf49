"""The printed reference is complete, and is itself a configuration."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from gateway.config.describe import as_yaml, flat, options, reference, select
from gateway.config.load import load
from gateway.config.settings import Settings


def test_the_reference_without_its_hashes_gives_the_defaults(tmp_path: Path) -> None:
    text = re.sub(r"^(\s*)#(\w)", r"\1\2", "\n".join(as_yaml(options())), flags=re.MULTILINE)
    (tmp_path / "all.yaml").write_text(text)
    (tmp_path / "short.yaml").write_text("\n".join(as_yaml(options())))
    everything, only_needed = load(tmp_path / "all.yaml"), load(tmp_path / "short.yaml")
    assert everything == only_needed
    assert everything.smtp == msgspec.convert({}, type(everything.smtp))


def test_every_field_of_every_section_is_in_the_page() -> None:
    page = reference()
    for section in msgspec.structs.fields(Settings):
        assert f"`{section.name}`" in page or f"## {section.name}" in page
    assert all(f"`{option.path}`" in page for option in flat(options()) if not option.options)


def test_a_part_can_be_asked_for() -> None:
    (option,) = select("smtp.max_hops")
    assert (option.allowed, option.default) == ("a whole number, 1 or more", 50)
    assert "Received" in option.doc
    assert [each.default for each in select("queue.lifetime")] == ["5d"]
    with pytest.raises(KeyError):
        select("smtp.nothing")
