"""The verbs, one file each."""

from gateway.smtp.commands import (
    auth,  # noqa: F401
    bdat,  # noqa: F401
    data,  # noqa: F401
    expn,  # noqa: F401
    hello,  # noqa: F401
    help,  # noqa: A004, F401
    mail,  # noqa: F401
    noop,  # noqa: F401
    quit,  # noqa: A004, F401
    rcpt,  # noqa: F401
    rset,  # noqa: F401
    starttls,  # noqa: F401
    vrfy,  # noqa: F401
)
from gateway.smtp.registry import VERBS

__all__ = ["VERBS"]
