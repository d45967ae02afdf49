"""LANG and the texts that people see of POP3, in English and Chinese (RFC 6856 3). Pure.

Response codes stay what they are; a text that is not in the catalogue is English in every language.
"""

from __future__ import annotations

DEFAULT = "en"
#: tag: its name in itself
LANGUAGES = {"en": "English", "zh": "中文"}
#: what any client may ask for (RFC 6856 3.2): `i-default` is English, `zh-Hans-CN` is Chinese
_ALSO = {"i-default": "en", "*": DEFAULT}
_CHINESE = {
    "send PASS": "请发送 PASS",
    "maildrop open": "邮箱已打开",
    "marked": "已标记",
    "nothing is marked": "没有标记",
    "bye": "再见",
    "begin TLS": "开始 TLS",
    "languages": "语言",
    "texts are in this language": "此后使用该语言",
    "UTF-8 from now on": "此后使用 UTF-8",
    "capabilities": "功能",
    "authentication failed": "登录失败",
    "empty password": "密码为空",
    "password must be changed first": "必须先更改密码",
    "this account may not use this service": "该帐户不能使用此服务",
    "maildrop is in use by another session": "邮箱正被另一会话使用",
    "encryption needed before login": "登录前须加密",
    "USER first": "请先发送 USER",
    "name expected": "缺少用户名",
    "unknown command": "未知命令",
    "not in this state": "此时不能使用该命令",
    "line too long": "行过长",
    "no such message": "没有该邮件",
    "message is deleted": "邮件已删除",
    "message is gone": "邮件已不存在",
    "message number expected": "缺少邮件编号",
    "number of lines expected": "缺少行数",
    "no such language": "没有该语言",
    "you have logged in just now, try again later": "刚刚登录过，请稍后再试",
}


def language(tag: str) -> str | None:
    """The language that a language tag asks for; None when there is none."""
    tag = tag.lower()
    if tag in _ALSO:
        return _ALSO[tag]
    primary = tag.partition("-")[0]
    return primary if primary in LANGUAGES else None


def told(text: str, tag: str) -> str:
    """A text in a language."""
    return _CHINESE.get(text, text) if tag == "zh" else text
