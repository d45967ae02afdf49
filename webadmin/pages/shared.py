"""Shared mailboxes: found, made, changed, deleted."""

from __future__ import annotations

from flask import Blueprint

from webadmin.entries import views
from webadmin.entries.kinds import SHARED
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN

PAGE = Page("Shared mailboxes", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN), order=40)
bp = Blueprint("shared", __name__, url_prefix="/shared")
views.register(bp, SHARED)
