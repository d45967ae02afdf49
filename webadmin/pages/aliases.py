"""Aliases: found, made, changed, deleted."""

from __future__ import annotations

from flask import Blueprint

from webadmin.entries import views
from webadmin.entries.kinds import ALIAS
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN

PAGE = Page("Aliases", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN), order=20)
bp = Blueprint("aliases", __name__, url_prefix="/aliases")
views.register(bp, ALIAS)
