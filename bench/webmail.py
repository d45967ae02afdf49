"""CPU of the web process for pages of webmail: a mailbox of 10,000 messages, milliseconds a page.

Run from the root of the sources: `python -m bench.webmail [MESSAGES [PORT-OFFSET]]` (10,000; 7400). Makes a demo of its own below a
temporary folder, fills the INBOX of one person by IMAP, and asks the pages of an application in this process, so that its CPU
time is that of the web process alone; the IMAP worker's is not in it. Median of 20 after one that is not counted.
"""

from __future__ import annotations

import datetime as dt
import html
import imaplib
import json
import re
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from webadmin.app import create_app
from webadmin.settings import WebSettings

LOGIN = "alice"
TIMES = 20
GOALS = {"list": 15, "message": 10, "search": 20}
TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


def fill(facts: dict[str, Any], number: int) -> None:
    """Messages of conversations of five, one each ten minutes up to now."""
    imap = imaplib.IMAP4_SSL(
        "localhost", facts["ports"]["imaps"], ssl_context=ssl.create_default_context(cafile=facts["ca_file"])
    )
    imap.login(LOGIN, f"{LOGIN}-demo-password")
    start = time.time() - number * 600
    for n in range(number):
        when = dt.datetime.fromtimestamp(start + n * 600, dt.UTC)
        reply = f"References: <m{n - 1}@load.example>\r\n" if n % 5 else ""
        text = (
            f"From: Person {n % 97} <p{n % 97}@elsewhere.example>\r\nTo: {LOGIN}@example.com\r\nDate: {when:%a, %d %b %Y %H:%M:%S +0000}\r\n"
            f"Subject: {'Re: ' if n % 5 else ''}Report {n // 5} on the state of things\r\nMessage-ID: <m{n}@load.example>\r\n{reply}"
            f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello, this is number {n}.\r\nOf the apple harvest.\r\n\r\n> quoted\r\n"
        )
        imap.append("INBOX", "" if n % 3 else r"(\Seen)", imaplib.Time2Internaldate(when), text.encode())
    imap.logout()


def measure(run_dir: Path, folder: Path, number: int) -> None:
    """Ask each page, and say what it took."""
    client = create_app(WebSettings(listen="127.0.0.1:1"), run_dir, folder, "localhost").test_client()
    found = TOKEN.search(client.get("/login").text)
    assert found is not None
    fields = {"csrf_token": html.unescape(found[1]), "login": LOGIN, "password": f"{LOGIN}-demo-password"}
    assert client.post("/login", data=fields).status_code == 302
    pages = {
        "list": "/mail/?threads=0", "rows": f"/mail/rows?at={number // 2}", "message": "/mail/message?mailbox=INBOX&uid={n}",
        "search": "/mail/?q=subject:{n}", "search-text": "/mail/rows?q=apple", "conversations": "/mail/?threads=1", "news": "/mail/news",
    }  # fmt: skip
    for name, path in pages.items():
        took = []
        size = 0
        for n in range(TIMES + 1):
            began = time.process_time()
            answer = client.get(path.format(n=number // 2 + n))
            took.append((time.process_time() - began) * 1000)
            size = len(answer.data)
            assert answer.status_code == 200, (path, answer.status_code)
        goal = f", goal {GOALS[name]}" if name in GOALS else ""
        print(
            f"{name:14} {sorted(took[1:])[TIMES // 2]:5.1f} ms (lowest {min(took):.1f}{goal}), {size} octets",
            flush=True,
        )


def main() -> None:
    """A demo, its mail, the figures."""
    number, offset = (int(text) for text in [*sys.argv[1:], *["10000", "7400"][len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "demo"
        gatepost = [sys.executable, "-m", "gateway"]
        subprocess.run(
            [*gatepost, "demo", "--dir", str(folder), "--detach", "--port-offset", str(offset)],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=90,
        )
        try:
            fill(json.loads((folder / "demo.json").read_text()), number)
            measure(folder / "run", Path(top) / "web", number)
        finally:
            subprocess.run([*gatepost, "stop", "--dir", str(folder)], check=True, timeout=60)


if __name__ == "__main__":
    main()
