"""What a list writes itself: plain text in English and Chinese, from `<>`, never answered by another program.

Everything that comes from outside (addresses, a peer's words) stands in the text only, on a line of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from directory.model import MailingList
from gateway.lists.addresses import OWNER, REQUEST, list_address, service_address

_POLICY = SMTP.clone(linesep="\n", cte_type="7bit")


def notice(
    mailing_list: MailingList, recipient: str, subject: str, text: str, *, message_id: str, now: float
) -> EmailMessage:
    """A message of the list to `recipient`."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = service_address(mailing_list, REQUEST)
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromtimestamp(int(now), UTC))
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Loop"] = list_address(mailing_list)
    message.set_content(text, cte="quoted-printable")  # English stays readable in the file
    return message


def parked(mailing_list: MailingList, member: str, why: str, *, message_id: str, now: float) -> EmailMessage:
    """To the owners: a member gets nothing more."""
    address = list_address(mailing_list)
    text = (
        f"Copies for this member of {address} came back so often that he gets no more of them:\n\n"
        f"    {member}\n    {why or '-'}\n\n"
        f"To let him in again:\n\n    gatepost list unpark {address} {member}\n\n"
        f"发给邮件列表 {address} 的这位成员的邮件多次被退回，已暂停向其投递。恢复投递请使用上述命令。\n"
    )
    owner = service_address(mailing_list, OWNER) or ""
    return notice(mailing_list, owner, f"{address}: a member is parked", text, message_id=message_id, now=now)
