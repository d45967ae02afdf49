"""What a browser is called among the sessions of a person: "Firefox, Linux". Only to be recognised, never believed."""

from __future__ import annotations

MAX_OTHER = 60  # characters of what is none of these
#: in this order: most say that they are others as well
_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser_name(agent: str) -> str:
    """From the field User-Agent; printable, at most 66 characters, never empty."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if browser:
        return f"{browser}, {system}" if system else browser
    return f"web {''.join(filter(str.isprintable, agent[:MAX_OTHER]))}".strip()
