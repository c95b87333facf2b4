"""What the processes of a login have in common, for their models: clocks, a store, an issuer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from requests_tokenrefresh import (
    LoginRequiredError,
    RefreshFailedError,
    Token,
    TokenRefreshError,
    TokenStoreError,
)
from tests.support.logins import START


class ExpectedError(Exception):
    """What the source is to raise, by its class and what it says."""

    def __init__(
        self,
        kind: type[TokenRefreshError],
        reason: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(kind.__name__, reason, retry_after)
        self.kind, self.reason, self.retry_after = kind, reason, retry_after

    def after(self, seconds: float) -> ExpectedError:
        """Return the same for so many seconds before another attempt."""
        says = self.kind is RefreshFailedError
        return ExpectedError(self.kind, self.reason, max(0.0, seconds) if says else None)


def it_is_over(reason: str | None) -> ExpectedError:
    return ExpectedError(LoginRequiredError, reason)


@dataclass
class Answer:
    """What the issuer says, by its meaning: a token, unless it refuses, fails or is interrupted."""

    access: str = ""
    refresh: str | None = None
    lifetime: float | None = None
    refused: str | None = None  # the reason
    fails: bool = False
    retry_after: float | None = None
    interrupted: bool = False


@dataclass
class World:
    """What all the processes share.

    Attributes:
        wall, monotonic: The clocks, in seconds.
        luck: What the dice always show.
        answer: Asks the issuer: for whom, how (``"refresh"`` or ``"login"``), and with what.
        person: Tells whose an access token is; None: nobody can know.
        keeps_pause: Whether the store keeps `pause`: until when, by the wall, nobody is to ask the
            issuer, for how many seconds that is, and how often in a row it has failed.
        stored: What the store holds.
        trouble: What its ``load``, ``save``, ``clear``, ``lock`` and ``unlock`` fail with.
        next_save: What happens before the next ``save`` does anything, once.
    """

    shared: bool
    luck: float
    answer: Callable[[Any, str, Token | None], Answer]
    person: Callable[[str], str | None]
    keeps_pause: bool = False
    wall: float = START
    monotonic: float = START
    stored: Token | None = None
    pause: tuple[float, float, int] | None = None
    trouble: dict[str, type[Exception]] = field(default_factory=dict)
    next_save: Callable[[], None] | None = None

    # -- The store --------------------------------------------------------------------------------

    def load(self) -> Token | None:
        self.may_fail("load")
        return copy.copy(self.stored) if self.shared else self.stored

    def save(self, token: Token) -> None:
        happens, self.next_save = self.next_save, None
        if happens is not None:
            happens()
        self.may_fail("save")
        self.overwrite(token)

    def clear(self) -> None:
        self.may_fail("clear")
        self.overwrite(None)

    def may_fail(self, what: str) -> None:
        kind = self.trouble.get(what)
        if kind is not None:
            raise ExpectedError(kind if issubclass(kind, TokenStoreError) else TokenStoreError)

    # -- What happens to it -----------------------------------------------------------------------

    def overwrite(self, token: Token | None) -> None:
        """Whoever it is that writes, even if he knows nothing of the lock, ends the pause."""
        self.stored, self.pause = token, None

    def before_save(self, happens: Callable[[], None] | None) -> None:
        self.next_save = happens

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def set_clock(self, seconds: float) -> None:
        self.wall += seconds

    def break_store(self, what: str, kind: type[Exception]) -> None:
        self.trouble[what] = kind

    def repair_store(self) -> None:
        self.trouble.clear()
