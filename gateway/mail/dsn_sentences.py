"""What went wrong, said to people: for each reason a sentence and what to do next, in English and Chinese."""

from __future__ import annotations

from typing import NamedTuple

from directory.model import Condition


class Sentence(NamedTuple):
    """The reason and the advice, in both languages."""

    reason: str
    advice: str
    reason_zh: str
    advice_zh: str


_ASK = "Ask the recipient by another way, for example by telephone."
_ASK_ZH = "请用其他方式（例如电话）联系收件人。"
_LATER = "Send the message again later. If that does not help, give this report to your administrators."
_LATER_ZH = "请稍后重新发送。如果仍然失败，请将此报告转交给您的管理员。"
_OURS = "Give this report to your administrators."
_OURS_ZH = "请将此报告转交给您的管理员。"
_THEIRS = "Give this report to the recipient's administrators, by another way."
_THEIRS_ZH = "请用其他方式将此报告转交给收件人的管理员。"
_SMALLER = "Send a smaller message, or put large files where the recipient can fetch them."
_SMALLER_ZH = "请缩小邮件，或将大文件放到收件人可以下载的位置。"

UNKNOWN = Sentence(
    "The message could not be delivered.",
    "The answer of the other host, if there is one below, says more. " + _OURS,
    "邮件无法投递。",
    "如果下方有对方主机的答复，其中会有更多说明。" + _OURS_ZH,
)

#: by condition, where a status code alone would say too little
_CONDITIONS: dict[Condition, Sentence] = {
    Condition.NO_SUCH_DOMAIN: Sentence(
        "This host does not send mail on to that domain.", _OURS, "本主机不向该域转发邮件。", _OURS_ZH
    ),
    Condition.NOT_ALLOWED_TO_SEND_HERE: Sentence(
        "You are not among those who may write to this address.",
        "Ask whoever is responsible for the address to let you write there.",
        "您不在允许向该地址发信的人员之列。",
        "请联系该地址的负责人为您开通。",
    ),
    Condition.NOBODY_THERE: Sentence(
        "The address exists, but nobody is behind it at present.", _OURS, "该地址存在，但目前没有任何收件人。", _OURS_ZH
    ),
    Condition.LIST_LOOP: Sentence(
        "The address leads only back to itself.", _OURS, "该地址只会转回到它自己。", _OURS_ZH
    ),
    Condition.BAD_MESSAGE: Sentence(
        "The message itself was refused.", "Change the message and send it again.",
        "邮件本身被拒绝。", "请修改邮件后重新发送。",
    ),
    Condition.ACCOUNT_SUSPENDED: Sentence(
        "The mailbox was disabled for so long that the message was given up.", _ASK,
        "该邮箱长时间被停用，邮件已放弃投递。", _ASK_ZH,
    ),
}  # fmt: skip

#: by subject and detail of the status code (RFC 3463 3); "1" is any other detail of subject 1
_STATUS: dict[str, Sentence] = {
    "1.1": Sentence(
        "There is no such address.", "Check the address for a typing mistake and send the message again.",
        "该地址不存在。", "请检查地址是否有误，然后重新发送。",
    ),
    "1.2": Sentence(
        "There is no such mail domain.", "Check the part behind the @ sign and send the message again.",
        "该邮件域不存在。", "请检查 @ 之后的部分，然后重新发送。",
    ),
    "1.6": Sentence("The mailbox has moved and left no new address.", _ASK, "该邮箱已迁移，且没有留下新地址。", _ASK_ZH),
    "1.7": Sentence("The other host does not accept your sender address.", _OURS, "对方主机不接受您的发件人地址。", _OURS_ZH),
    "1.8": Sentence("The other host does not accept your sender address.", _OURS, "对方主机不接受您的发件人地址。", _OURS_ZH),
    "1.10": Sentence("This domain takes no mail at all.", "Check the part behind the @ sign.", "该域不接收任何邮件。", "请检查 @ 之后的部分。"),
    "1": Sentence(
        "The address is not valid.", "Check the address for a typing mistake and send the message again.",
        "该地址无效。", "请检查地址是否有误，然后重新发送。",
    ),
    "2.1": Sentence("The mailbox is closed.", _ASK, "该邮箱已关闭。", _ASK_ZH),
    "2.2": Sentence(
        "The recipient's mailbox is full.", "Tell the recipient by another way, and send the message again later.",
        "收件人的邮箱已满。", "请用其他方式告知收件人，并在稍后重新发送。",
    ),
    "2.3": Sentence("The message is larger than the recipient may get.", _SMALLER, "邮件大小超过了收件人的限制。", _SMALLER_ZH),
    "2": Sentence("The recipient's mailbox does not take the message.", _ASK, "收件人的邮箱不接收此邮件。", _ASK_ZH),
    "3.4": Sentence("The message is too large for the other host.", _SMALLER, "邮件对于对方主机来说太大。", _SMALLER_ZH),
    "3": Sentence("The mail system that has to take the message is not able to.", _LATER, "应接收邮件的系统目前无法接收。", _LATER_ZH),
    "4.1": Sentence("The other host did not answer.", _LATER, "对方主机没有应答。", _LATER_ZH),
    "4.3": Sentence("The name service gave no answer about the domain.", _LATER, "域名服务没有给出该域的答复。", _LATER_ZH),
    "4.4": Sentence("There was no way to the other host.", _LATER, "没有到达对方主机的路径。", _LATER_ZH),
    "4.6": Sentence("The message went round in a circle.", _OURS, "邮件在主机之间循环。", _OURS_ZH),
    "4.7": Sentence("The other host did not take the message in time.", _LATER, "对方主机未能及时接收邮件。", _LATER_ZH),
    "4": Sentence("The connection to the other host had trouble.", _LATER, "与对方主机的连接出现问题。", _LATER_ZH),
    "5.3": Sentence(
        "The message has too many recipients.", "Send the message to fewer recipients at a time.",
        "邮件的收件人过多。", "请分批发送给较少的收件人。",
    ),
    "5": Sentence("The other host and this one did not understand each other.", _OURS, "对方主机与本主机之间协议不一致。", _OURS_ZH),
    "6.7": Sentence(
        "The other host does not take addresses with characters outside ASCII.",
        "Use an address in plain Latin letters, if the recipient has one.",
        "对方主机不支持含有非 ASCII 字符的地址。", "如果收件人有纯英文字母的地址，请使用该地址。",
    ),
    "6": Sentence(
        "The other host does not take the content of the message.", "Change the message or its attachments and send it again.",
        "对方主机不接受邮件的内容。", "请修改邮件或附件后重新发送。",
    ),
    "7.10": Sentence("An encrypted connection was required and not possible.", _THEIRS, "要求加密连接，但无法建立。", _THEIRS_ZH),
    "7.30": Sentence("An encrypted connection was required and not possible.", _THEIRS, "要求加密连接，但无法建立。", _THEIRS_ZH),
    "7": Sentence(
        "The message was refused by a rule of the other side.",
        "The answer of the other host, if there is one below, may say which rule. " + _THEIRS,
        "邮件被对方的规则拒绝。", "如果下方有对方主机的答复，其中可能说明是哪条规则。" + _THEIRS_ZH,
    ),
}  # fmt: skip
for _detail in (*range(20, 28), 29):  # DKIM, SPF, reverse DNS and ARC (RFC 7372, RFC 8617)
    _STATUS[f"7.{_detail}"] = Sentence(
        "The other host could not verify that the message is really from your domain.",
        _OURS,
        "对方主机无法验证邮件确实来自您的域。",
        _OURS_ZH,
    )


def sentence(condition: Condition | None, status: str) -> Sentence:
    """The sentence for a condition of this system or, where another host answered, for its status code."""
    if condition is not None and condition in _CONDITIONS:
        return _CONDITIONS[condition]
    _, _, rest = status.partition(".")
    return _STATUS.get(rest) or _STATUS.get(rest.partition(".")[0]) or UNKNOWN
