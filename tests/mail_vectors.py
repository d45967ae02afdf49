"""Mail that tries to run something in the reader's browser or to have something loaded: `cases/xss`, an attempt after each `%%`.

RUN is a script that tells on itself, HOST a host of the attacker's.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "cases" / "xss"
RUN = "top.ran=1;alert(1)"
HOST = "https://evil.example"
A_MESSAGE = 15  # attempts, each a part of its own and so in a frame of its own


def vectors() -> list[tuple[str, str]]:
    """(name, HTML) of all."""
    found = []
    for path in sorted(FOLDER.glob("*.txt")):
        for number, text in enumerate(path.read_text(encoding="utf-8").split("%%\n"), 1):
            found.append((f"{path.stem}-{number}", text.rstrip("\n").replace("RUN", RUN).replace("HOST", HOST)))
    return found


def message(attempts: list[tuple[str, str]]) -> bytes:
    """A message with these attempts, each followed by a word that shows that its frame is there."""
    boundary = "=_vectors_="
    parts = "".join(
        f"--{boundary}\nContent-Type: text/html; charset=utf-8\n\n<p>before {name}</p>{html}\n"
        for name, html in attempts
    )
    head = f"From: <script>{RUN}</script> <x@evil.example>\nTo: felix@example.org\nSubject: {attempts[0][0]}\nMIME-Version: 1.0\n"
    return f'{head}Content-Type: multipart/mixed; boundary="{boundary}"\n\n{parts}--{boundary}--\n'.encode()


def messages() -> list[bytes]:
    """Messages with all of them."""
    every = vectors()
    return [message(every[at : at + A_MESSAGE]) for at in range(0, len(every), A_MESSAGE)]
