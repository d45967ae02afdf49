"""Examples in the documentation work: every profile and every `directory:` section is loaded. Its links lead somewhere,
and README.md to every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from directory.profile import Profile
from directory.profile_text import ProfileText
from gateway.config.load import load

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
PAGES = ("docs/reference/profile.md", "docs/howto/openldap.md", "docs/howto/outbound.md")


def blocks(start: str) -> list[tuple[str, str]]:
    """(page and number, text) of the YAML examples that begin with `start`."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for number, match in enumerate(re.finditer(r"^( *)```yaml\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)):
            block = re.sub(f"^{match[1]}", "", match[2], flags=re.MULTILINE)
            if block.startswith(start):
                found.append((f"{page} {number}", block))
    return found


@pytest.mark.parametrize("text", [text for _, text in blocks("profile:")], ids=[name for name, _ in blocks("profile:")])
def test_profiles(text: str) -> None:
    assert Profile(ProfileText(text, "example")).name == "example"


@pytest.mark.parametrize("text", [t for _, t in blocks("directory:")], ids=[n for n, _ in blocks("directory:")])
def test_configurations(text: str, tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text(f"state_dir: /s\nrun_dir: /r\nstore: {{volumes: {{a: {{path: /m}}}}}}\n{text}")
    settings = load(path).directory
    Profile.of(settings)


@pytest.mark.parametrize("text", [t for _, t in blocks("relay:")], ids=[n for n, _ in blocks("relay:")])
def test_ways_out(text: str, tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text(
        f"state_dir: /s\nrun_dir: /r\nstore: {{volumes: {{a: {{path: /m}}}}}}\n"
        f"directory: {{servers: [ldap://127.0.0.1], base: o=x, profile: native}}\n{text}"
    )
    assert load(path).relay.smarthost


def test_there_are_examples() -> None:
    assert blocks("relay:")
    assert len(blocks("profile:")) >= 1 and len(blocks("directory:")) >= 4


def links(page: Path) -> list[Path]:
    """What a page points at within the project."""
    return [(page.parent / match[1]).resolve() for match in LINK.finditer(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_lead_somewhere(page: Path) -> None:
    assert [str(target) for target in links(page) if not target.exists()] == []


def test_every_page_is_found_from_the_first_one() -> None:
    named = set(links(ROOT / "README.md"))
    pages = [page for part in ("howto", "flow", "reference") for page in (ROOT / "docs" / part).glob("*.md")]
    assert [page.name for page in pages if page not in named] == []
