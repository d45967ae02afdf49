"""Passwords that are made for people: long enough that nobody guesses them, easy to read out and to type."""

from __future__ import annotations

import secrets

#: without letters and digits that look alike
LETTERS = "abcdefghjkmnpqrstuvwxyz"
DIGITS = "23456789"
PARTS, PART = 4, 4


def generate() -> str:
    """About 74 bits: four groups of four, with capitals and digits in each kind of place that policies ask for."""
    groups = ["".join(secrets.choice(LETTERS + DIGITS) for _ in range(PART)) for _ in range(PARTS)]
    groups[0] = secrets.choice(LETTERS).upper() + groups[0][1:]
    groups[-1] = groups[-1][:-1] + secrets.choice(DIGITS)
    return "-".join(groups)
