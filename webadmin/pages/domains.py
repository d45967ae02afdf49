"""Domains: found, made, changed, deleted."""

from __future__ import annotations

from flask import Blueprint

from webadmin.entries import views
from webadmin.entries.kinds import DOMAIN
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN

PAGE = Page("Domains", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN), order=50)
bp = Blueprint("domains", __name__, url_prefix="/domains")
views.register(bp, DOMAIN)
