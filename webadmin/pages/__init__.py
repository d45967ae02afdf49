"""The pages: one module each, a line each. The order here is the order in which a request looks for its page."""

from __future__ import annotations

from typing import Protocol

from flask import Blueprint

from webadmin.page import Page
from webadmin.pages import (
    aliases,
    api,
    applications,
    apply,
    bulk,
    company_sign_in,
    compose,
    devices,
    discovery,
    domains,
    home,
    journal,
    lists,
    login,
    mail,
    mail_act,
    mail_answer,
    mail_folders,
    mail_message,
    mail_parts,
    moderation,
    people,
    pick,
    queue,
    quotas,
    second_factor,
    second_factor_desk,
    second_step,
    self_apps,
    self_data,
    self_deleted,
    self_forward,
    self_password,
    self_photo,
    self_queue,
    self_sessions,
    self_storage,
    self_trace,
    self_vacation,
    self_writing,
    session_pages,
    shared,
    subscriptions,
    unsubscribe,
)


class PageModule(Protocol):
    """A module of this package."""

    bp: Blueprint
    PAGE: Page


PAGES: tuple[PageModule, ...] = (
    home,
    login,
    company_sign_in,
    session_pages,
    mail,
    mail_act,
    mail_answer,
    mail_folders,
    mail_message,
    mail_parts,
    compose,
    self_password,
    self_photo,
    self_data,
    self_deleted,
    self_forward,
    self_vacation,
    self_storage,
    self_apps,
    self_sessions,
    self_queue,
    self_trace,
    self_writing,
    people,
    moderation,
    subscriptions,
    unsubscribe,
    devices,
    discovery,
    aliases,
    lists,
    shared,
    domains,
    pick,
    bulk,
    journal,
    api,
    quotas,
    apply,
    applications,
    second_step,
    second_factor,
    second_factor_desk,
    queue,
)
PAGES_BY_NAME = {module.bp.name: module.PAGE for module in PAGES}
