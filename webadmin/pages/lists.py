"""Mailing lists: found, made, changed, deleted."""

from __future__ import annotations

from flask import Blueprint

from webadmin.entries import views
from webadmin.entries.kinds import LIST
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, LIST_OWNER

PAGE = Page("Mailing lists", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN, LIST_OWNER), order=30)
bp = Blueprint("lists", __name__, url_prefix="/lists")
views.register(bp, LIST)
