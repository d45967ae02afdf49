"""Passwords that people prove themselves with to control verbs, at the same pace as at a login by IMAP."""

from __future__ import annotations

import logging
import threading
import time

from directory.authenticator import Authenticator, Proof
from directory.authenticator_tokens import SESSION
from directory.model import Account, Condition, Deferred, Refused
from gateway.control.protocol import Claim
from gateway.control.server import VerbError
from gateway.observe.log import fields
from gateway.service.agent_logins import FAILURE_SECONDS

MAX_SLOWED = 2  # guessers who wait in the threads that everybody's verbs need
_log = logging.getLogger("gatepost.agent")


class Passwords:
    """Thread-safe."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._slowed = threading.Semaphore(MAX_SLOWED)

    def prove_again(self, account: Account, password: str, address: str) -> None:
        """Whoever asks for `account` has typed its password again. Raises VerbError."""
        login = account.logins[0] if account.logins else account.primary or ""
        try:
            proof = self.prove(Claim(login=login, password=password, address=address), first_step=True)
        except Refused:
            raise VerbError("the password is not right", 1) from None
        if proof.login.account != account.id or proof.login.method not in ("bind", "grace"):
            raise VerbError("the password of the directory is needed here", 1)

    def prove(self, claim: Claim, *, first_step: bool = False) -> Proof:
        """Who it is; `first_step`: also where a second factor is needed besides. Guessers wait or are turned away, and a failure takes as long whatever was wrong. Raises
        Refused; VerbError for what cannot be found out now, without a word on whether there is such an account."""
        begin = time.monotonic()
        try:
            delay = self._authenticator.delay(claim.address)
            if delay and not self._slowed.acquire(blocking=False):
                raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "enough others are slowed down already")
            if delay:
                try:
                    time.sleep(delay)
                finally:
                    self._slowed.release()
            return self._authenticator.prove(
                claim.login, claim.password, "selfservice", claim.address, first_step=first_step
            )
        except Refused:
            time.sleep(max(0.0, begin + FAILURE_SECONDS - time.monotonic()))
            raise
        except Deferred as error:
            _log.info(
                "%s", fields(event="login-deferred", login=claim.login, client=claim.address, detail=error.detail)
            )
            raise VerbError(error.text, 4) from None

    def end_sessions(self, account: str) -> None:
        """Whoever came in with the old password is out of the web front end; his other tokens are known to be older."""
        try:
            self._authenticator.tokens.revoke(account, SESSION)
            self._authenticator.tokens.password_set(account)
        except Deferred as error:  # the password is set
            _log.warning("%s", fields(event="sessions-not-ended", account=account, detail=error.detail))
