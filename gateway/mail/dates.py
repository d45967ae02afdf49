"""Moments as the fields of messages have them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime


def date_of(moment: float) -> str:
    """Unix time as a date-time (RFC 5322 3.3), in UTC and whole seconds."""
    return format_datetime(datetime.fromtimestamp(int(moment), UTC))
