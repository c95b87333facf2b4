"""How `logout()` ends a login: here, in the store, and at the issuer (RFC 7009).

What is revoked has to be the newest that anybody has. Whoever refreshes holds the store's lock
until the new token is saved: so in the store's turn the newest is there, it is taken and the store
emptied, and whoever comes next finds the login over. The issuer is told afterwards, with no lock
held.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace

from ._errors import (
    LoginRequiredError,
    RevocationFailedError,
    StoreContentError,
    StoreDataLostError,
    TokenRefreshError,
)
from ._flight import Flights
from ._hand import Now
from ._keeping import Keeping, told
from ._login import Login, cleared, logged_out
from ._telling import Telling
from ._token import Token
from .refreshers import Refresher

_log = logging.getLogger("requests_tokenrefresh")


class Ending:
    """Ends the login of one source. Safe from any thread.

    Args:
        refresher: If it can tell the issuer, it does so by its method `revoke`.
        wait_timeout: Seconds to wait for the store's lock.
    """

    def __init__(
        self,
        flights: Flights,
        keeping: Keeping,
        telling: Telling,
        refresher: Refresher,
        wait_timeout: float,
    ) -> None:
        self._flights = flights
        self._keeping = keeping
        self._telling = telling
        self._refresher = refresher
        self._wait_timeout = wait_timeout

    def log_out(self) -> None:
        """End the login here, and in the store."""
        before, after = self._flights.change(_logged_out)
        try:
            self._keeping.settle()
        finally:
            self._telling.announce(before, after)

    def log_out_and_revoke(self) -> None:
        """End the login here, in the store, and at the issuer, as far as each can be done."""
        revoke = self._revoker()
        tokens, problems = self._taken()
        problems += _revoked(tokens, revoke)
        for problem in problems[1:]:
            _log.warning("the login is over here, but not everywhere: %s", problem)
        if problems:
            raise problems[0]

    def _revoker(self) -> Callable[[Token], object]:
        """Return what tells the issuer of a token.

        Raises:
            TypeError, ValueError: Nobody can.
        """
        revoke: Callable[[Token], object] | None = getattr(self._refresher, "revoke", None)
        if not callable(revoke):
            raise TypeError(
                "the refresher cannot revoke a login: it has no method revoke(token); without "
                "revoke=True the login ends here only"
            )
        if not getattr(self._refresher, "can_revoke", True):
            raise ValueError(
                "the refresher cannot revoke a login: pass it revocation_url=, or an "
                "AuthorizationServer with a revocation_endpoint; without revoke=True the login "
                "ends here only"
            )
        return revoke

    def _taken(self) -> tuple[list[Token], list[TokenRefreshError]]:
        """End the login here, and empty the store; return what was there, and what went wrong."""
        store, problems = self._keeping.store, list[TokenRefreshError]()
        stored = change = None
        try:
            # The refresher itself, which logs out, is in the store's turn already.
            is_ours = self._keeping.is_led_here()
            with nullcontext() if is_ours else store.lock(self._wait_timeout):
                stored = self._stored(problems)
                change = self._flights.change(_logged_out)
                store.clear()
                self._flights.change(_cleared)
        except Exception as error:
            problems.insert(0, told(error))
            if change is None:  # whoever has the turn may yet bring another
                with suppress(Exception):
                    stored = store.load()
        finally:
            before, after = change or self._flights.change(_logged_out)
            self._telling.announce(before, after)
        return _to_revoke(before, stored), problems

    def _stored(self, problems: list[TokenRefreshError]) -> Token | None:
        try:
            return self._keeping.store.load()
        except StoreDataLostError:
            return None
        except StoreContentError as error:
            problems.append(
                RevocationFailedError(f"what was stored has not been revoked, nor used: {error}")
            )
            return None


def _to_revoke(before: Login, stored: Token | None) -> list[Token]:
    """Return what may be good of a login that was like *before*, and *stored*: the newest first,
    and nothing twice."""
    known = [stored, before.token] if before.unsaved is None else [before.token, stored]
    tokens = [token for token in known if token is not None]
    if len(tokens) < 2:
        return tokens or [seed for seed in [before.kept.seed] if seed is not None]
    newest, old = tokens
    if old.refresh_token == newest.refresh_token:
        old = replace(old, refresh_token=None)
    if old.refresh_token is None and old.access_token == newest.access_token:
        return [newest]
    return [newest, old]


def _revoked(tokens: list[Token], revoke: Callable[[Token], object]) -> list[TokenRefreshError]:
    """Revoke *tokens*, and return what went wrong; after a failure the others are not tried."""
    for token in tokens:
        try:
            revoke(token)
        except TokenRefreshError as error:
            return [error]
        except Exception as error:
            # Not what it says, which may repeat the token.
            return [
                RevocationFailedError(
                    f"the refresher's revoke() raised {type(error).__name__}, and the tokens may "
                    "stay good until they expire"
                )
            ]
    return []


def _logged_out(login: Login, _now: Now) -> Login:
    error = LoginRequiredError(
        "logged out by logout(); call login() with a new token", reason="logged_out"
    )
    return logged_out(login, error)


def _cleared(login: Login, _now: Now) -> Login:
    return cleared(login)
