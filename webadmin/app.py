"""Makes the Flask application: pages, sessions, protection against other sites, languages, errors."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import available_timezones

from flask import Flask, Response, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import Babel, get_locale, gettext
from flask_wtf.csrf import CSRFProtect

from gateway.service.admission import Networks
from webadmin import assets, errors, menu, shown
from webadmin.backend import Backend
from webadmin.body_limits import FORM, BodyLimits
from webadmin.client import is_https
from webadmin.entries.labels import word_label
from webadmin.headers import protect
from webadmin.languages import LANGUAGES, Languages
from webadmin.mail.connections import Mailboxes
from webadmin.pages import PAGES
from webadmin.person import LANGUAGE, TOKEN, current, trusted_proxies
from webadmin.settings import WebSettings

KEY_FILE = "key"
KEY_OCTETS = 32
MAX_FORM_PARTS = 2000
TIMEZONES = available_timezones()


def create_app(settings: WebSettings, run_dir: Path, folder: Path, hostname: str) -> Flask:
    """The application of one host; `folder` is its own. Raises OSError when that cannot be used."""
    return make_app(settings, run_dir, _key(folder), hostname)


def make_app(settings: WebSettings, run_dir: Path, key: bytes, hostname: str) -> Flask:
    """The application, cookies signed with `key`; nothing is opened."""
    app = Flask("webadmin", static_folder=None, template_folder=None)
    app.config.update(
        SECRET_KEY=key,
        SESSION_COOKIE_NAME="gatepost",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.tls == "implicit" or settings.url.startswith("https:"),
        MAX_CONTENT_LENGTH=settings.max_request,
        MAX_FORM_MEMORY_SIZE=FORM,
        MAX_FORM_PARTS=MAX_FORM_PARTS,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        WTF_CSRF_SSL_STRICT=False,  # the Referer is not sent, see headers.py
        BABEL_DEFAULT_LOCALE="en",
    )
    app.extensions["gatepost_backend"] = Backend(run_dir)
    app.extensions["gatepost_proxies"] = Networks(settings.trusted_proxies)
    app.extensions["gatepost_settings"] = settings
    app.extensions["gatepost_hostname"] = hostname
    app.extensions["gatepost_mailboxes"] = Mailboxes(run_dir)
    app.extensions["gatepost_body_limits"] = BodyLimits(app, settings.max_request, TOKEN)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["word_label"] = word_label
    app.before_request(_bound)  # before the form is read, which the next one does
    csrf = CSRFProtect(app)
    Babel(app, locale_selector=_language, timezone_selector=_timezone).domain_instance = Languages()
    assets.register(app)
    shown.register(app)
    for module in PAGES:
        app.register_blueprint(module.bp)
        if getattr(module, "CSRF_FREE_BLUEPRINT", False):
            csrf.exempt(module.bp)
        for name in getattr(module, "CSRF_FREE", ()):
            csrf.exempt(getattr(module, name))
    app.before_request(_admit)
    app.after_request(_finish)
    app.context_processor(_everywhere)
    errors.register(app)
    return app


def _key(folder: Path) -> bytes:
    """What cookies are signed with; made anew when it is gone, which only ends forms that are open."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / KEY_FILE
    try:
        found = path.read_bytes()
        if len(found) == KEY_OCTETS:
            return found
    except FileNotFoundError:
        pass
    fresh = folder / f".{KEY_FILE}.{secrets.token_hex(4)}"
    key = secrets.token_bytes(KEY_OCTETS)
    fresh.write_bytes(key)
    fresh.chmod(0o600)
    fresh.replace(path)
    return key


def _language() -> str | None:
    chosen = session.get(LANGUAGE)
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(list(LANGUAGES), default="en")


def _timezone() -> str | None:
    """The browser's time zone, as `timezone.js` tells it; None for what is none, and times are in UTC."""
    name = unquote(request.cookies.get("timezone", "")[:60])
    return name if name in TIMEZONES else None


def _bound() -> None:
    """How much is read of a request, also where another server has taken it."""
    headers = {name.upper().replace("-", "_"): value for name, value in request.headers}
    limits: BodyLimits = current_app.extensions["gatepost_body_limits"]
    request.max_content_length = limits.of(request.path, headers)


def _admit() -> ResponseReturnValue | None:
    """Nobody reaches a view whose page he may not open."""
    if request.blueprint in (None, assets.bp.name):  # static files, and what does not exist
        return None
    page = menu.page_of(request.blueprint)
    if page.needs is None:
        return None
    found = current()
    if found is None:
        here = request.full_path.rstrip("?") if request.method == "GET" else ""
        return redirect(url_for("login.index", to=here or None))
    if not any(found.may(role) for role in page.needs):
        return errors.not_allowed()
    return None


def _finish(response: Response) -> Response:
    protect(response, is_https=is_https(trusted_proxies()))
    if request.blueprint != assets.bp.name:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _company() -> str:
    """What the company's own sign-in is called; "" = there is none."""
    oidc = current_app.extensions["gatepost_settings"].oidc
    return (oidc.label or gettext("the company account")) if oidc.issuer else ""


def _everywhere() -> dict[str, object]:
    """What every template may use."""
    found = g.get("person")
    return {
        "person": found,
        "menu": menu.of(found),
        "languages": LANGUAGES,
        "language": str(get_locale() or "en"),
        "is_https": is_https(trusted_proxies()),
        "signed_in": TOKEN in session,
        "company": _company(),
        "sign_up": bool(current_app.extensions["gatepost_settings"].sign_up),
    }
