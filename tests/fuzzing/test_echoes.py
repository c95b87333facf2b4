"""However a token endpoint spells what it was sent, it is not quoted; what it says otherwise is."""

from __future__ import annotations

import string

from hypothesis import assume, event, example, given
from hypothesis import strategies as st

from requests_tokenrefresh.refreshers._quote import NOT_SHOWN, Secrets
from tests.support.length import few
from tests.support.spellings import REVERSIBLE, SPELLINGS

LETTERS = string.ascii_letters + string.digits
SECRETS = st.text(LETTERS, min_size=12, max_size=40) | st.builds(
    "{}-{}_{}".format, *[st.text(LETTERS, min_size=8, max_size=20)] * 3
)
PROSE = st.sampled_from(
    ["", "the grant ", "no such thing: ", "(at 12:30) ", "\u00e9t\u00e9 ", "<b>"]
)
SHOWN = 200  # characters


def is_drawn(secret: str) -> bool:
    """Not a few letters over and over, as only a fuzzer has them."""
    return len(set(secret.lower())) > 8


@few(20)
@given(SECRETS, st.lists(st.sampled_from(sorted(REVERSIBLE)), max_size=3), PROSE, PROSE)
@example("a1b2c3d4e5f6g7h8", ["in hex", "backwards", "in base64, after a byte"], "x ", " y")
@example("a1b2c3d4e5f6g7h8", ["in base64", "as entities", "percent-encoded"], "x ", " y")
def test_no_secret_is_quoted_however_it_is_spelled(
    secret: str, spellings: list[str], before: str, after: str
) -> None:
    assume(is_drawn(secret))
    spelled = secret
    for spelling in spellings:
        spelled = REVERSIBLE[spelling](spelled)
    # As much of it as is shown has to be enough to undo it.
    assume(len(before) + len(spelled) <= SHOWN)
    event(f"{len(spellings)} spellings")
    assert Secrets.of(known=[secret]).quote(f"{before}{spelled}{after}") == NOT_SHOWN


@few(25)
@given(SECRETS, st.sampled_from(sorted(SPELLINGS)), PROSE)
def test_nor_is_what_can_be_undone_only_in_part(secret: str, spelling: str, before: str) -> None:
    assume(is_drawn(secret))
    spelled = SPELLINGS[spelling](secret)
    assume(len(before) + len(spelled) <= SHOWN)
    assert Secrets.of(known=[secret]).quote(f"{before}{spelled}") == NOT_SHOWN


@few(25)
@given(st.data(), SECRETS)
def test_nor_is_one_in_pieces_in_whatever_order_and_wherever(
    data: st.DataObject, secret: str
) -> None:
    assume(is_drawn(secret))
    sizes = st.integers(5, 7)
    pieces, rest = [], secret
    while rest:
        size = data.draw(sizes)
        pieces.append(rest[:size])
        rest = rest[size:]
    words = data.draw(st.lists(PROSE, min_size=len(pieces), max_size=len(pieces)))
    said = [
        word + piece for word, piece in zip(words, data.draw(st.permutations(pieces)), strict=True)
    ]
    secrets = Secrets.of(known=[secret])
    if len(" ".join(said)) <= SHOWN:
        assert secrets.quote(" ".join(said)) == NOT_SHOWN
    shown = [line for line in secrets.quote_each(said).values() if line != NOT_SHOWN]
    assert sum(map(len, shown)) - sum(map(len, words)) < 8


def test_a_secret_of_few_letters_has_few_pieces_and_is_known_by_fewer() -> None:
    said = ["00000", "the grant 00000", "23456", "the grant -00001", "_0000", "the grant 000000"]
    secrets = Secrets.of(known=["0000000000-0000123456_0000000000"])
    assert secrets.quote(" ".join(said)) == NOT_SHOWN
    assert set(secrets.quote_each(said).values()) == {NOT_SHOWN}


@few(20)
@given(st.text(max_size=400), st.lists(SECRETS, max_size=3))
@example("\\U7fffffff \\u{110000} \ud800 &#x110000; %ff =ff 0xff", ["a1b2c3d4e5f6"])
@example("\x00" * 400, ["a1b2c3d4e5f6"])
@example("=" * 400, ["a1b2c3d4e5f6"])
def test_whatever_is_said_is_quoted_in_one_line_or_not_at_all(said: str, known: list[str]) -> None:
    line = Secrets.of(known=known).quote(said)
    assert line.isprintable()
    assert len(line) <= SHOWN
