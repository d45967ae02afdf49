"""What the postmaster is told when an account is stopped from sending."""

from __future__ import annotations

from gateway.mail.dsn import clean
from gateway.mail.notice import notice


def compose(
    *, author: str, recipient: str, name: str, login: str, seen: str, held: int, message_id: str, now: float
) -> bytes:
    """The message. `name` is the account as people know it, `login` what the commands take, `held` how many of its
    messages wait for other hosts and do not leave."""
    name = clean(name)
    text = f"""\
This account behaves as one whose password was stolen, and sends nothing any more:

    {name} (login {login})

What was seen:

    {seen}

Its mail that waits for other hosts is on hold: {held} message{"" if held == 1 else "s"} at the moment. Receiving and
reading mail goes on.

If the password was stolen: set a new one, end app passwords, throw away what is on hold, then let it send again.

    gatepost passwd {login}
    gatepost user app-password revoke {login} all
    gatepost queue list
    gatepost user brake release {login} --drop

If all is well: send what is on hold; the second line says as well that so much is usual for this account.

    gatepost user brake release {login} --send
    gatepost user brake release {login} --send --usual

该帐户的行为像是密码被盗，已暂停其发送邮件；接收和阅读不受影响。处理方法见以上命令。
"""
    subject = f"Sending is stopped for {name}"
    return notice(author, recipient, subject, text, message_id=message_id, now=now).as_bytes()
