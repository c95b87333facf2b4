"""The login in a token file, and `status`: what may be told of it."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

import click

from .._backoff import LONGEST_SAID
from .._client_record import record_of
from .._expiry import jwt_claims
from .._foreign import printable
from .._token import Token
from ..interactive._duration import duration
from ..stores import FileTokenStore
from .exits import HOW_TO_LOG_IN, LOGIN_REQUIRED, fail

LOCK_TIMEOUT = 30.0  # seconds


def store_option(command: Callable[..., None], *, required: bool = True) -> Callable[..., None]:
    """Give *command* the options that say which token file is meant, and the `store` of it; None
    if it is not *required*, and nobody has said it."""

    @click.option(
        "--store",
        "path",
        required=required,
        metavar="FILE",
        help="The token file. It is created with mode 0600, and refused if others can read it.",
    )
    @click.option(
        "--no-private",
        is_flag=True,
        help="Take the token file though others can read it, or it is theirs: a mounted secret.",
    )
    @functools.wraps(command)
    def with_store(path: str | None, no_private: bool, **options: Any) -> None:
        try:
            store = None if path is None else FileTokenStore(path, private=not no_private)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--store") from None
        command(store=store, **options)

    return with_store


def fail_without_login(store: FileTokenStore) -> NoReturn:
    """End the command: there is nothing in *store*.

    Raises:
        click.exceptions.Exit: Always.
    """
    fail(
        f"nobody has logged in: there is no {store.path}; to log in, {HOW_TO_LOG_IN}",
        LOGIN_REQUIRED,
    )


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, for programs.")
def status(store: FileTokenStore, as_json: bool) -> None:
    """Tell whose login is stored and when it expires. No part of a token is shown.

    The exit code is 3 if it is time to log in: there is no login, or its access token has expired
    and there is no refresh token. It is 5 if the login cannot be refreshed, because the new token
    could not be stored.
    """
    token = store.load()
    if token is None:
        fail_without_login(store)
    now = time.time()
    facts = {**facts_of(token, now), "pause": pause_in(store, now)}
    click.echo(json.dumps(facts, indent=2) if as_json else _described(facts))
    if facts["has_refresh_token"]:
        store.ensure_can_save()
    elif facts["expired"]:
        fail("the login is over; log in again", LOGIN_REQUIRED)


def subject_of(token: Token) -> str | None:
    """Return whose login it is, for a terminal, as far as the tokens say."""
    subject = facts_of(token, 0.0)["subject"]
    return None if subject is None else printable(str(subject))


def facts_of(token: Token, now: float) -> dict[str, Any]:
    """Return what may be told of *token*, as JSON values."""
    source, claims = _claims(token)
    record = record_of(token)
    subject = next(
        (claims[name] for name in ("email", "preferred_username", "sub") if name in claims), None
    )
    return {
        "subject": subject,
        "subject_source": source if subject is not None else None,
        "issuer": claims.get("iss") if record is None else record.issuer,
        "client_id": (
            token.extra.get("client_id", claims.get("azp", claims.get("client_id")))
            if record is None
            else record.client_id
        ),
        "scope": token.extra.get("scope", claims.get("scope")),
        "origins": [] if record is None else list(record.origins),
        "expires_at": token.expires_at,
        "expires_in": None if token.expires_at is None else round(token.expires_at - now, 3),
        "expired": token.expires_at is not None and token.expires_at <= now,
        "has_refresh_token": token.refresh_token is not None,
        "fingerprint": hashlib.sha256(token.access_token.encode()).hexdigest()[:12],
    }


def pause_in(store: FileTokenStore, now: float) -> dict[str, Any] | None:
    """Return for how many seconds the token endpoint is not to be asked, and why."""
    pause = store.load_pause()
    if pause is None or pause.until <= now:
        return None
    seconds = round(min(pause.until - now, pause.seconds, LONGEST_SAID), 3)
    return {"seconds": seconds, "failures": pause.failures}


def _claims(token: Token) -> tuple[str, Mapping[str, Any]]:
    """Return the claims of the first JWT in *token*, and where they were; {} if there is none."""
    for name, text in (
        ("id_token", token.extra.get("id_token")),
        ("access_token", token.access_token),
    ):
        if claims := jwt_claims(text):
            return name, claims
    return "", {}


def _described(facts: Mapping[str, Any]) -> str:
    whose = "unknown: the tokens do not say"
    if facts["subject"] is not None:
        whose = f"{facts['subject']} (says the {facts['subject_source']}; not verified)"
    lines = {
        "login": whose,
        "issuer": facts["issuer"],
        "client": facts["client_id"],
        "scope": facts["scope"],
        "goes to": " ".join(facts["origins"]) or None,
        "expires": when_expires(facts["expires_at"], facts["expires_in"]),
        "refresh token": "yes" if facts["has_refresh_token"] else "no",
        "pause": None if facts["pause"] is None else resting(**facts["pause"]),
        "fingerprint": f"{facts['fingerprint']} (SHA-256 of the access token)",
    }
    return "\n".join(
        f"{name + ':':<15}{printable(value)}" for name, value in lines.items() if value is not None
    )


def resting(seconds: float, failures: int) -> str:
    """Return what a pause says to a person."""
    times = "once" if failures == 1 else f"{failures} times"
    return f"{duration(seconds)}: the token endpoint has failed {times}, and is not asked sooner"


def when_expires(at: float | None, seconds: float | None) -> str:
    """Return when a token expires, for a person: *at* in epoch seconds, in *seconds* from now."""
    if at is None or seconds is None:
        return "unknown: the token reply did not say"
    try:
        moment = datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        moment = "beyond the calendar"
    if seconds <= 0:
        return f"{duration(-seconds)} ago ({moment})"
    return f"in {duration(seconds)} ({moment})"
