"""What a list writes itself: plain text in English and Chinese, from `<>`, never answered by another program.

Everything that comes from outside (addresses, a peer's words) stands in the text only, on a line of its own.
"""

from __future__ import annotations

from email.message import EmailMessage
from urllib.parse import quote

from directory.model import MailingList
from gateway.lists.addresses import OWNER, REQUEST, list_address, service_address
from gateway.mail import notice as plain


def notice(
    mailing_list: MailingList, recipient: str, subject: str, text: str, *, message_id: str, now: float
) -> EmailMessage:
    """A message of the list to `recipient`."""
    author = service_address(mailing_list, REQUEST)
    message = plain.notice(author, recipient, subject, text, message_id=message_id, now=now)
    message["X-Loop"] = list_address(mailing_list)
    return message


def parked(mailing_list: MailingList, member: str, why: str, *, message_id: str, now: float) -> EmailMessage:
    """To the owners: a member gets nothing more."""
    address = list_address(mailing_list)
    text = (
        f"Copies for this member of {address} came back so often that he gets no more of them:\n\n"
        f"    {member}\n    {why or '-'}\n\n"
        f"To let him in again send this, logged in as yourself:\n\n"
        f"    {_link(mailing_list)}unpark%20{quote(member, safe='@')}\n\n"
        f"发给邮件列表 {address} 的这位成员的邮件多次被退回，已暂停向其投递。恢复投递请登录后使用以上链接。\n"
    )
    owner = service_address(mailing_list, OWNER) or ""
    return notice(mailing_list, owner, f"{address}: a member is parked", text, message_id=message_id, now=now)


MAX_ORIGINAL = 1024 * 1024  # octets; of a larger post moderators see the header


def held(
    mailing_list: MailingList, token: str, original: bytes, *, message_id: str, now: float, days: float, page: str = ""
) -> bytes:
    """To the moderators: a post waits; with the post itself, or its header where it is large. `page` is where it can be
    decided on in a browser."""
    address = list_address(mailing_list) or ""
    request, link = service_address(mailing_list, REQUEST) or "", _link(mailing_list)
    text = (
        f"A post to {address} waits for you. Send one of these, logged in as yourself\n"
        f"(the Subject is all that counts); without an answer it expires in {days:g} days.\n\n"
        f"To send it to the members:\n\n    {link}approve%20{token}\n\n"
        f"To throw it away:\n\n    {link}reject%20{token}\n\n"
        f"{f'In a browser 在浏览器中处理:{chr(10)}{chr(10)}    {page}{chr(10)}{chr(10)}' if page else ''}"
        f"有一封发往 {address} 的邮件等待审核。请登录后使用以上链接批准（approve）或拒绝（reject）。\n"
    )
    first = notice(
        mailing_list, request, f"{address}: a post waits", text, message_id=message_id, now=now
    )  # fmt: skip
    head, _, body = first.as_bytes().partition(b"\n\n")
    kept: list[bytes] = []
    moved: list[bytes] = []
    for line in head.split(b"\n"):
        (moved if line.lower().startswith((b"content-", b"mime-version")) else kept).append(line)
    if len(original) > MAX_ORIGINAL:
        original, kind = original.partition(b"\n\n")[0] + b"\n", b"text/rfc822-headers"
    else:
        kind = b"message/rfc822"
    boundary = b"held-" + token[:8].encode()  # the token itself is nobody's business but the reader's
    while boundary in original:
        boundary += b"x"
    is_ascii = original.isascii()
    return b"".join((
        b"\n".join(kept), b"\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=", boundary, b"\n\n--", boundary,
        b"\n", b"\n".join(line for line in moved if not line.lower().startswith(b"mime-version")), b"\n\n", body,
        b"\n--", boundary, b"\nContent-Type: ", kind, b"\nContent-Transfer-Encoding: ", b"7bit" if is_ascii else b"8bit",
        b"\n\n", original, b"\n--", boundary, b"--\n",
    ))  # fmt: skip


def confirm(
    mailing_list: MailingList, verb: str, address: str, token: str, *, message_id: str, now: float, days: int
) -> EmailMessage:
    """To somebody in whose name a wish came: was it he?"""
    name = list_address(mailing_list)
    text = (
        f"Somebody, probably you, wants to {verb} {address}\n{'to' if verb == 'subscribe' else 'from'} the list {name}."
        f" If it was you, send this within {days} days:\n\n    {_link(mailing_list)}confirm%20{token}\n\n"
        "If not, do nothing.\n\n"
        f"有人请求{'订阅' if verb == 'subscribe' else '退订'}邮件列表 {name}。如果是您本人，请使用以上链接确认；否则请忽略。\n"
    )
    return notice(mailing_list, address, f"{name}: please confirm", text, message_id=message_id, now=now)


def admit(
    mailing_list: MailingList, address: str, token: str, *, message_id: str, now: float, days: int
) -> EmailMessage:
    """To the owners: somebody wants to become a member."""
    name = list_address(mailing_list)
    text = (
        f"This person wants to become a member of {name} and has confirmed it:\n\n    {address}\n\n"
        f"To admit him, send this within {days} days, logged in as yourself:\n\n"
        f"    {_link(mailing_list)}admit%20{quote(address, safe='@')}%20{token}\n\nTo refuse, do nothing.\n\n"
        f"以上用户申请加入邮件列表 {name}。如同意，请登录后使用以上链接；如不同意，无需操作。\n"
    )
    owner = service_address(mailing_list, OWNER) or ""
    return notice(mailing_list, owner, f"{name}: somebody wants to join", text, message_id=message_id, now=now)


def done(mailing_list: MailingList, recipient: str, text: str, *, message_id: str, now: float) -> EmailMessage:
    """To a person: what became of his wish."""
    return notice(mailing_list, recipient, str(list_address(mailing_list)), text, message_id=message_id, now=now)


def help_text(mailing_list: MailingList) -> str:
    """What may be asked by mail."""
    link = _link(mailing_list)
    lines = [f"This is {list_address(mailing_list)}. Write to:\n"]
    if mailing_list.subscription != "closed":
        lines += [f"    {link}subscribe      become a member 订阅", f"    {link}unsubscribe    leave the list 退订"]
    lines += [
        f"    {link}nocopy         members: no copies of one's own posts 不接收自己的邮件",
        f"    {link}copy           members: copies of one's own posts too 接收自己的邮件",
        f"    {link}help           this text 帮助",
    ]
    if mailing_list.owners or mailing_list.owner_addresses:
        lines += [f"    mailto:{service_address(mailing_list, OWNER)}    the owners 管理员"]
    return "\n".join(lines) + "\n"


def _link(mailing_list: MailingList) -> str:
    local, _, domain = (service_address(mailing_list, REQUEST) or "").rpartition("@")
    return f"mailto:{quote(local, safe='')}@{domain}?subject="
