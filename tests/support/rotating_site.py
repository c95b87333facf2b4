"""A running server whose refresh tokens rotate, and what 32 threads go through at each of them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from requests_tokenrefresh import Token, TokenSource
from tests.support.drives import EACH, ROUNDS, THREADS, Renewals, drive_rounds, drive_until
from tests.support.servers import HTTPServer


@dataclass(frozen=True)
class RotatingSite(ABC):
    """The server, and what its clients need.

    Attributes:
        authorization: The server itself: ``log_in(*client)``, ``expire_access_tokens()``.
        http: What it listens with.
        token_path: Where it is asked for a new token.
    """

    authorization: Any
    http: HTTPServer
    token_path: ClassVar[str]

    @abstractmethod
    def refresher(self, *client: Any) -> Callable[[Token | None], Token]:
        """Return what refreshes the tokens of *client*, if there are several."""

    def log_in(self, *client: Any) -> Token:
        asked_at = time.time()  # the lifetime begins later, as with a refresh
        return Token.from_mapping(self.authorization.log_in(*client), received_at=asked_at)

    @property
    def data(self) -> str:
        return f"{self.http.url}/data"

    def token_requests(self) -> int:
        return sum(request.path == self.token_path for request in self.http.requests)

    def each_expiry_costs_one_refresh(self, *client: Any) -> None:
        refreshes: list[int] = []  # until the beginning of each round

        def expire() -> None:
            refreshes.append(self.token_requests())
            self.authorization.expire_access_tokens()

        source = TokenSource(
            self.refresher(*client),
            origins=[self.http.url],
            token=self.log_in(*client),
            min_refresh_interval=0,  # a round is shorter than the default
        )
        endings = drive_rounds(source, self.data, ROUNDS, before=expire)
        assert endings == {200: ROUNDS * EACH * THREADS}
        assert [*refreshes, self.token_requests()] == [*range(ROUNDS + 1)]

    def tokens_are_outlived(self, *client: Any, by_the_end_of: float = 0.2) -> None:
        """None is spent on a token that has more left of its life than *by_the_end_of* says: its
        last fifth, see `early`."""
        first = self.log_in(*client)
        renewals = Renewals(self.refresher(*client), first)
        source = TokenSource(renewals, origins=[self.http.url], token=first)
        endings = drive_until(source, self.data, lambda: len(renewals.tokens) > 2, seconds=20)
        assert set(endings) == {200}
        assert self.token_requests() == len(renewals.asked_at) >= 2
        assert max(renewals.rests_of_life()) <= by_the_end_of
