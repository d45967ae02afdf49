"""What the front end costs a browser and its host: octets and time of a first load, memory with many sessions.

Run from the root of the sources: `python -m bench.webload [SESSIONS [PORT-OFFSET]]` (200; 7500). Makes a demo of its own below a
temporary folder. The first load is Debian's Chromium without a cache, on loopback: octets as they cross the network (CDP
`Network.loadingFinished`, header and body), milliseconds from the navigation to DOMContentLoaded (what can be read can be used)
and to the load event. Then so many people sign in by requests and read their list, and the web process's memory is asked
(PSS: its part of what it shares with the master; RSS counts all of that).
"""

from __future__ import annotations

import html
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Browser, sync_playwright

LOGIN = "jane"
TIMES = 7
TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')
PAGES = {"sign-in": "/login", "mail": "/mail/", "write": "/compose", "people": "/people/"}
TIMING = "(() => { const t = performance.getEntriesByType('navigation')[0]; return [t.domContentLoadedEventEnd, t.loadEventEnd]; })()"


def load(browser: Browser, base: str, path: str, cookies: list[Any]) -> tuple[int, int, float, float]:
    """(requests, octets, ms to DOMContentLoaded, ms to load) of one page in a browser that was never there."""
    context = browser.new_context()
    context.add_cookies(cookies)
    page = context.new_page()
    seen: list[float] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: seen.append(event["encodedDataLength"]))
    page.goto(base + path, wait_until="networkidle")
    ready, loaded = page.evaluate(TIMING)
    context.close()
    return len(seen), int(sum(seen)), ready, loaded


def sign_in(base: str, login: str) -> requests.Session:
    """A session that has read its list."""
    http = requests.Session()
    http.trust_env = False
    found = TOKEN.search(http.get(f"{base}/login", timeout=60).text)
    assert found is not None
    fields = {"csrf_token": html.unescape(found[1]), "login": login, "password": f"{login}-demo-password"}
    answer = http.post(f"{base}/login", data=fields, timeout=60)
    assert answer.status_code == 200 and "/login" not in answer.url, answer.url
    http.get(f"{base}/mail/", timeout=60)
    return http


def memory(pid: int) -> dict[str, int]:
    """KiB of a process."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(size) for name, size, *_ in map(str.split, rows)}


def web_process(facts: dict[str, Any]) -> int:
    """Its pid."""
    return int(facts["pids"]["web"])


def browse(base: str) -> None:
    """First loads."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for login in (LOGIN, "admin"):
            http = sign_in(base, login)
            cookies = [{"name": one.name, "value": str(one.value), "url": base} for one in http.cookies]
            for name, path in PAGES.items():
                if (name == "people") != (login == "admin"):
                    continue
                rows = [load(browser, base, path, [] if name == "sign-in" else cookies) for _ in range(TIMES)]
                ready, loaded = (statistics.median(row[n] for row in rows) for n in (2, 3))
                print(
                    f"{name:8} {rows[0][0]:3} requests {max(row[1] for row in rows) / 1024:6.1f} KiB"
                    f" (goal 150), usable after {ready:4.0f} ms (goal 1000), loaded {loaded:4.0f} ms",
                    flush=True,
                )
        browser.close()


def crowd(base: str, facts: dict[str, Any], number: int) -> None:
    """Many sessions."""
    pid = web_process(facts)
    before = memory(pid)
    logins = [
        account["login"]
        for account in facts["accounts"]
        if account["kind"] == "person" and account["status"] == "active"
    ]
    held = []
    for n in range(number):
        login = logins[n % len(logins)]
        try:
            held.append(sign_in(base, login))
        except AssertionError:
            held.append(sign_in(base, LOGIN))  # who may not sign in by browser
    after = memory(pid)
    for word, found in (("before", before), (f"with {len(held)} sessions", after)):
        print(f"{word:18} PSS {found['Pss'] / 1024:5.1f} MiB, RSS {found['Rss'] / 1024:5.1f} MiB (goal 80)", flush=True)


def main() -> None:
    """A demo, its pages, its memory."""
    number, offset = (int(text) for text in [*sys.argv[1:], *["200", "7500"][len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "demo"
        gatepost = [sys.executable, "-m", "gateway"]
        made = [*gatepost, "demo", "--dir", str(folder), "--detach", "--port-offset", str(offset)]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, timeout=90)
        try:
            facts = json.loads((folder / "demo.json").read_text())
            base = facts["web"]["url"]
            browse(base)
            crowd(base, facts, number)
        finally:
            subprocess.run([*gatepost, "stop", "--dir", str(folder)], check=True, timeout=60)


if __name__ == "__main__":
    main()
