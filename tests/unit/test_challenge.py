"""What a 401 says."""

from __future__ import annotations

import time

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from requests_tokenrefresh._challenge import Challenge, parse_challenges, rejects_token
from tests.support.servers import Reply

INVALID = 'Bearer realm="api", error="invalid_token", error_description="expired"'
SCOPE = 'Bearer error="insufficient_scope", scope="write"'


def answer(status, challenge=None):
    response = requests.Response()
    response.status_code = status
    if challenge is not None:
        response.headers["www-authenticate"] = challenge
    return response


@pytest.mark.parametrize(
    "challenge",
    [
        None,
        "",
        "Bearer",
        "bEARER",
        INVALID,
        f"Basic realm=x, Negotiate, {INVALID}",
        f"{INVALID}, Basic realm=x",
        # Scope is somebody else's problem, or no problem by that name.
        'Bearer error="invalid_token", DPoP error="insufficient_scope"',
        'Bearer error="invalid_token", error_description="not insufficient_scope"',
        'Bearer realm="error=insufficient_scope"',
        'Bearer error="insufficient_scope_of_imagination"',
        'Bearer scope="insufficient_scope"',
        # What cannot be read says nothing.
        'error="insufficient_scope"',
        f'{SCOPE}, realm="never closed',
        f"{SCOPE} and more",
        f"{SCOPE}, \u00e9",
        "Basic realm=My Realm",
        "Basic; realm=x",
        "@",
        ",",
    ],
)
def test_a_401_rejects_the_token(challenge):
    assert rejects_token(answer(401, challenge))


@pytest.mark.parametrize(
    "challenge",
    [
        SCOPE,
        "Bearer error=insufficient_scope",
        'bearer ERROR = "insufficient_scope"',
        'Bearer error="insufficient\\_scope"',
        f"Basic realm=x, {SCOPE}",
        f'Negotiate YWJj==,{SCOPE},\tDigest nonce="a, Bearer error=\\"invalid_token\\""',
        f"Bearer realm=gateway, {SCOPE}",
    ],
)
def test_too_small_a_scope_does_not_reject_the_token(challenge):
    assert not rejects_token(answer(401, challenge))


@pytest.mark.parametrize(
    "challenge",
    ["Basic", 'Basic realm="api"', "Negotiate", "Negotiate YWJj==, NTLM", 'Digest realm="Bearer"'],
)
def test_a_401_for_other_schemes_alone_does_not_reject_the_token(challenge):
    assert not rejects_token(answer(401, challenge))


def test_the_scheme_is_the_one_the_token_was_sent_with():
    assert rejects_token(answer(401, "JWT realm=api"), "jwt")
    assert rejects_token(answer(401, "jwt realm=api"), scheme="JWT")
    assert not rejects_token(answer(401, "JWT realm=api"))
    assert not rejects_token(answer(401, SCOPE), "JWT")


@pytest.mark.parametrize("status", [200, 302, 400, 403, 407, 419, 498, 500])
def test_no_other_status_rejects_the_token(status):
    assert not rejects_token(answer(status, INVALID))


def test_several_headers_of_a_real_answer_are_read_together(http_server):
    headers = [("WWW-Authenticate", 'Basic realm="a, b"'), ("www-authenticate", SCOPE)]
    with requests.get(http_server(lambda _: Reply(401, headers=headers)).url) as response:
        assert len(parse_challenges(response.headers["WWW-Authenticate"])) == 2
        assert not rejects_token(response)


@pytest.mark.parametrize(
    ("value", "challenges"),
    [
        # RFC 9110 section 11.6.1.
        (
            'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
            [
                Challenge("basic", {"realm": "simple"}),
                Challenge("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
            ],
        ),
        # RFC 6750 section 3.
        (
            'Bearer realm="example", error="invalid_token"',
            [Challenge("bearer", {"realm": "example", "error": "invalid_token"})],
        ),
        ("Negotiate", [Challenge("negotiate")]),
        ("X-Token a=b", [Challenge("x-token", {"a": "b"})]),
        ("Negotiate, NTLM ,\tBasic", [Challenge(s) for s in ("negotiate", "ntlm", "basic")]),
        ("Negotiate a==, b c/+~", [Challenge("negotiate"), Challenge("b")]),
        ("a b=, c", [Challenge("a"), Challenge("c")]),
        ("a , b=c", [Challenge("a", {"b": "c"})]),
        ("a ,, b = c ,", [Challenge("a", {"b": "c"})]),
        (' , a  b="", c="\\\\,"', [Challenge("a", {"b": "", "c": "\\,"})]),
        (
            'a b=1, a B=2, c="\\d"',
            [Challenge("a", {"b": "1"}), Challenge("a", {"b": "2", "c": "d"})],
        ),
        ("", []),
        (" ,\t", []),
        ("a=b", []),
        ("a==", []),
        ("a b=c, d==", []),
        ("a b=c d=e", []),
        ("a b c=d", []),
        ("a b c", []),
        ('a "b"', []),
        ('a b="c"d', []),
        ('a b="c', []),
        ('a b="c\\"', []),
        ("a b='c d'", []),
        ("a, b=c;d=e", []),
        ("a\nb=c", []),
    ],
)
def test_a_list_of_challenges_is_read(value, challenges):
    assert parse_challenges(value) == challenges


def texts(characters, min_size=0):
    return st.lists(st.sampled_from(characters), min_size=min_size, max_size=5).map("".join)


TOKENS = texts("!#$%&'*+.^_`|~-aZ09", min_size=1)
TOKEN68 = st.builds(
    "{}{}".format, texts("aZ09._~+/-", min_size=1), st.sampled_from(["", "=", "=="])
)
VALUES = texts('", \\=\taZ\u00e9')
CHALLENGES = st.lists(
    st.builds(
        Challenge, TOKENS.map(str.lower), st.dictionaries(TOKENS.map(str.lower), VALUES, max_size=3)
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def written(draw, challenges):
    """A header that says *challenges*, in one of the ways the grammar leaves open."""
    space = st.sampled_from(["", " ", "\t "])
    elements = []
    for challenge in challenges:
        scheme = draw(st.sampled_from([challenge.scheme, challenge.scheme.upper()]))
        parameters = [
            f"{name.upper()}{draw(space)}={draw(space)}{quoted(value)}"
            for name, value in challenge.parameters.items()
        ]
        if not parameters:
            token68 = draw(st.just("") | TOKEN68.map(" {}".format))
            elements.append(scheme + token68)
        elif draw(st.booleans()):
            elements += [f"{scheme} {parameters[0]}", *parameters[1:]]
        else:
            elements += [f"{scheme} ", *parameters]
    commas = st.sampled_from([",", ", ", " ,\t", ",, , "])
    return draw(space) + "".join(element + draw(commas) for element in elements)


def quoted(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.data(), CHALLENGES)
def test_what_the_grammar_can_say_is_read_back(data, challenges):
    assert parse_challenges(data.draw(written(challenges))) == challenges


ANYTHING = st.integers(0, 0x10FFFF).map(chr)
SCRAPS = st.sampled_from(
    ["Bearer", "Basic", " ", "\t", ",", "=", '"', "\\", "error", '"insufficient_scope"', "realm"]
)


@given(st.lists(SCRAPS | ANYTHING, max_size=20).map("".join))
@example('Bearer error="\\')
def test_no_header_raises(value):
    readable = parse_challenges(value) != []
    rejected = rejects_token(answer(401, value))
    assert isinstance(rejected, bool)
    assert rejected or readable


@pytest.mark.parametrize(
    "hostile",
    [
        "{0}@",
        "{0} {0}@",
        "a{1}@",
        "a{1}b{1}@",
        "a{1}={1}@",
        "a {0}{2}{1}@",
        'a b="{0}',
        'a b="{3}',
        'a b="{0}"{1}@',
        "{4}",
        "a,{4}@",
        "{5}@",
    ],
)
def test_a_hostile_header_is_read_in_linear_time(hostile):
    """It takes milliseconds, and would take half a minute in quadratic time."""
    fill = [(c * 60_000)[:60_000] for c in ("a", " ", "=", "\\", " ,", "a b=c, ")]
    start = time.thread_time()
    assert parse_challenges(hostile.format(*fill)) == []
    assert time.thread_time() - start < 3
