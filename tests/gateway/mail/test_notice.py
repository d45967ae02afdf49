"""What this host writes to people by itself."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

from gateway.mail import stop_notice


def test_whatever_an_account_is_called_its_stop_is_told() -> None:
    octets = stop_notice.compose(
        author="mailer-daemon@example.com", recipient="postmaster@example.com", name="cn=J\nX-Evil: yes\x00,ou=people",
        login="jané", seen="500 different recipients", held=1, message_id="<1@mx.example>", now=1000.9,
    )  # fmt: skip
    assert octets.isascii() and b"\r" not in octets
    message = message_from_bytes(octets, policy=default)
    assert message["subject"] == "Sending is stopped for cn=J X-Evil: yes ,ou=people"
    assert message["x-evil"] is None
    assert (message["auto-submitted"], message["date"]) == ("auto-generated", "Thu, 01 Jan 1970 00:16:40 +0000")
    text = message.get_content()
    assert "(login jané)" in text and "500 different recipients" in text and "on hold: 1 message at" in text
