"""Something done as another user of the host, as root only can: in a child of this process, for the interpreter of the
tests may be in a folder that others cannot enter."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def as_user(uid: int, work: Callable[[], Any]) -> Any:
    """What `work` answers (anything that can be JSON), done by `uid`. Everything it needs must be imported."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(writer, json.dumps(work()).encode())
            code = 0
        except BaseException as error:
            print(f"as uid {uid}: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = file.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(answer)
