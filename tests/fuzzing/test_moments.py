"""However a reply says when its token expires, it is that moment, or nobody knows when."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from requests_tokenrefresh import Token
from requests_tokenrefresh._token import read_reply
from tests.fuzzing.telling import ACCESS, REFRESH, no_secret_told
from tests.support.length import few

NOW = 1_700_000_000.0
ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(
    lambda offset: timezone(timedelta(minutes=offset // timedelta(minutes=1)))
)
DIGITS = st.sampled_from("0123456789-+:.TtZz eE_\u0661\u0967") | st.characters()
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 2**63, True, "1e400"])
ANYTHING = NUMBERS | st.text(DIGITS) | st.binary() | st.datetimes(timezones=st.none() | ZONES)


def read(date: float | None = None, *, fresh: bool = False, **fields: Any) -> Token:
    reply = {"access_token": ACCESS, "refresh_token": REFRESH, **fields}
    with no_secret_told(ACCESS, REFRESH) as told:
        if fresh:
            token = read_reply(reply, received_at=NOW, previous=None, date=date)
        else:
            token = Token.from_mapping(reply, received_at=NOW)
        told.append(repr(token))
    assert token == Token(ACCESS, REFRESH)
    return token


@few(20)
@given(
    expires_in=ANYTHING | st.none(),
    expires_at=ANYTHING | st.none(),
    issued_at=ANYTHING,
    date=st.none() | st.floats(0, 4e9),
    fresh=st.booleans(),
)
def test_any_moment_is_a_finite_one_or_none(
    expires_in: Any, expires_at: Any, issued_at: Any, date: float | None, fresh: bool
) -> None:
    token = read(
        date, fresh=fresh, expires_in=expires_in, expires_at=expires_at, issued_at=issued_at
    )
    for moment in (token.expires_at, token.issued_at, token.lifetime):
        assert moment is None or math.isfinite(moment)
    if fresh:
        assert token.issued_at == NOW
        assert token.expires_at is None or token.expires_at >= NOW
    kept = json.loads(json.dumps(token.to_mapping(), allow_nan=False))
    again = Token.from_mapping(kept, received_at=NOW + 1)
    assert (again.expires_at, again.issued_at) == (token.expires_at, token.issued_at)


@few(25)
@given(
    moment=st.datetimes(datetime(1971, 1, 1), timezones=ZONES),
    letter=st.sampled_from("Tt "),
)
def test_a_date_and_time_is_the_same_moment_as_an_object_and_as_text(
    moment: datetime, letter: str
) -> None:
    expected = moment.timestamp()
    for written in (moment, moment.isoformat(letter)):
        token = read(expires_at=written)
        assert token.expires_at is not None
        assert abs(token.expires_at - expected) < 1e-3
