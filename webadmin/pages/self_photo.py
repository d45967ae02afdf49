"""Self-service: the photo in one's directory entry."""

from __future__ import annotations

import base64

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from directory.photo import MAX_OCTETS
from webadmin.backend import NotPossible
from webadmin.page import Page
from webadmin.person import ask, person

PAGE = Page("Photo")
bp = Blueprint("self_photo", __name__, url_prefix="/self/photo")


@bp.post("")
def save() -> ResponseReturnValue:
    """Another one, or none any more."""
    file = request.files.get("photo")
    octets = file.stream.read(MAX_OCTETS + 1) if file is not None else b""
    try:
        if request.form.get("do") == "remove":
            octets = b""
        elif not octets:
            raise NotPossible(gettext("Choose a JPEG file first."), 2)
        elif len(octets) > MAX_OCTETS:
            raise NotPossible(f"a photo has at most {MAX_OCTETS // 1024} KiB", 2)
        ask("photo-set", login=person().login, photo=base64.b64encode(octets).decode())
        flash(gettext("The photo is saved.") if octets else gettext("The photo is taken away."))
    except NotPossible as problem:
        flash(str(problem), "problem")
    return redirect(url_for("self_data.index"))
