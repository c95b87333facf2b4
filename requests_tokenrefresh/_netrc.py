"""What a session that a login is mounted on goes on looking up in ``~/.netrc``."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import requests
from requests import sessions
from requests.auth import AuthBase

from ._origins import Origins


class NetrcForOthers(AuthBase):
    """The *auth* of a session: leaves requests to *origins* as they are, and does for other hosts
    what requests does for a session that has none.

    With none, requests looks for credentials in netrc and in the URL, for every request. That
    takes longer than to give it a token, and what is found would go in the token's place.

    Immutable, so safe from any thread. Pickles and copies with its session. A shallow copy of the
    session shares it, and so goes by the first one's *trust_env*.

    Args:
        session: Whose *auth* it is.
        origins: Where the tokens go that are mounted on it.

    Attributes:
        origins: The same.
    """

    def __init__(self, session: requests.Session, origins: Iterable[Origins]) -> None:
        # Not kept alive: a session that refers to itself would keep its connections open until the
        # garbage collector finds it.
        self._session = weakref.ref(session)
        self.origins = tuple(origins)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        url = r.url or ""
        for origins in self.origins:
            if origins.allow(url):  # so there is no user name in it
                return r
        r.prepare_auth(found_in_netrc(url) if self._trusts_environment() else None, url)
        return r

    def __reduce__(self) -> tuple[Any, ...]:
        # One that has outlived its session pickles with another that trusts the environment.
        return type(self), (self._session() or requests.Session(), self.origins)

    def _trusts_environment(self) -> bool:
        session = self._session()
        return session is None or session.trust_env


def found_in_netrc(url: str) -> tuple[str, str] | None:
    """Return the user name and password that netrc has for the host of *url*."""
    # By the name that requests itself calls, which is patched where netrc is not wanted.
    found: tuple[str, str] | None = sessions.get_netrc_auth(url)  # type: ignore[attr-defined]
    return found
