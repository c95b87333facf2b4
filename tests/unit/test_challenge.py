"""What a 401 says."""

from __future__ import annotations

import time
import tracemalloc

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from requests_tokenrefresh import _challenge
from requests_tokenrefresh._challenge import Challenge, own_answer, parse_challenges
from tests.support.servers import Reply

INVALID = 'Bearer realm="api", error="invalid_token", error_description="expired"'
SCOPE = 'Bearer error="insufficient_scope", scope="write"'


def unauthorized(challenge=None):
    response = requests.Response()
    response.status_code = 401
    if challenge is not None:
        response.headers["www-authenticate"] = challenge
    return response


def told(challenge, scheme="Bearer"):
    return own_answer(unauthorized(challenge), scheme)


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
        'Bearer error="a_code_of_its_own"',
        'Bearer error=""',
        # Another scheme's challenges say nothing: it may be the first of several, or a proxy's.
        "Basic",
        'Basic realm="api"',
        "Token",
        "Negotiate YWJj==, NTLM",
        'Digest realm="Bearer"',
        'DPoP error="insufficient_scope"',
        'Bearer error="invalid_token", DPoP error="insufficient_scope"',
        'Bearer, Basic realm="api", error="insufficient_scope"',
        'Basic realm="api", claims="e30="',
        "Basic realm=x Bearer error=insufficient_scope",
        # It is no problem by that name.
        'Bearer error="invalid_token", error_description="not insufficient_scope"',
        'Bearer realm="error=insufficient_scope"',
        'Bearer realm="x, Bearer error=\\"insufficient_scope\\""',
        'Bearer error="insufficient_scope_of_imagination"',
        "Bearer error=insufficient_scope of imagination",
        'Bearer scope="insufficient_scope"',
        "Bearer insufficient_scope",
        'Bearer error_code="insufficient_scope"',
        # What Azure Resource Manager answers when a session was revoked: a later token will do.
        'Bearer authorization_uri="https://login/", error="invalid_token", claims="e30="',
        'Bearer claims=""',
        "Bearer claims=",
        # What cannot be read says nothing.
        'error="insufficient_scope"',
        'Bearer error="insufficient_scope',
        f'{SCOPE}, realm="never closed',
        f"{SCOPE} and more",
        f"{SCOPE}, some more words",
        f"{SCOPE}, \u00e9",
        f"{SCOPE}@",
        'Bearer realm=one"two, error=insufficient_scope',
        'Basic realm="x" Bearer error="insufficient_scope"',
        'Bearer: error="insufficient_scope"',
        "garbage=,,;",
        "@",
        ",",
    ],
)
def test_a_401_rejects_the_token(challenge):
    assert told(challenge) is None


@pytest.mark.parametrize(
    ("challenge", "answer"),
    [
        ('Bearer error="invalid_request"', "invalid_request"),
        (SCOPE, "insufficient_scope"),
        (
            'Bearer error="insufficient_user_authentication", acr_values="mfa", max_age="5"',
            "insufficient_user_authentication",
        ),
        (
            'Bearer realm="", authorization_uri="https://login/", error="insufficient_claims", '
            'claims="eyJ9"',
            "insufficient_claims",
        ),
        ('Bearer error="insufficient_claims"', "insufficient_claims"),
        ('Bearer claims="eyJ9"', "insufficient_claims"),
        ("Bearer CLAIMS=eyJ9==", "insufficient_claims"),
        ('Bearer error="interaction_required", claims="eyJ9"', "insufficient_claims"),
        ('Bearer error="insufficient_scope", claims="eyJ9"', "insufficient_scope"),
    ],
)
def test_a_401_says_why_another_token_would_not_help(challenge, answer):
    assert told(challenge) == answer


@pytest.mark.parametrize(
    "challenge",
    [
        "Bearer error=insufficient_scope",
        'bearer ERROR\t=\t"insufficient_scope"',
        'BEARER Error="Insufficient_Scope"',
        'Bearer error="INSUFFICIENT-SCOPE"',
        'Bearer error="insufficientScope"',
        'Bearer error="insufficient scope"',
        'Bearer error=" insufficient_scope "',
        "Bearer error='insufficient_scope', error_description='The login may not'",
        'Bearer error="insufficient\\_scope"',
        'Bearer error="\\i\\n\\sufficient_scope"',
        # Among others.
        f"Basic realm=x, {SCOPE}",
        f'Negotiate YWJj==,{SCOPE},\tDigest nonce="a, Bearer error=\\"invalid_token\\""',
        f"Bearer realm=gateway, {SCOPE}",
        f"{SCOPE}, Bearer realm=gateway",
        f"{INVALID}, {SCOPE}",
        f"{SCOPE}, {INVALID}",
        f"{SCOPE}, Bearer",
        # With commas too many.
        f",, {SCOPE} ,\t,",
        'Bearer , , error="insufficient_scope"',
        # Between spaces, as Amazon API Gateway writes, or a semicolon.
        'Bearer scope="write" error="insufficient_scope" error_description="no"',
        'Bearer realm="x"; error="insufficient_scope"; scope="write"',
        "Bearer realm=x; error=insufficient_scope; scope=write",
        # Not quoted, though no token.
        "Bearer realm=https://x/y, error=insufficient_scope",
        "Bearer authorization_uri=https://x/y?z=1 resource_id=https://z error=insufficient_scope",
        "Bearer scope=read write, error=insufficient_scope",
        "Bearer error = insufficient_scope, scope = read write",
        "Bearer realm=, error=insufficient_scope",
        "Bearer error=insufficient_scope, realm=",
        "Bearer realm=caf\u00e9 (api), error=insufficient_scope",
        "Basic realm=My Realm, Bearer error=insufficient_scope",
    ],
)
def test_it_is_told_however_it_is_written(challenge):
    assert told(challenge) == "insufficient_scope"


def test_the_first_challenge_that_says_why_counts():
    assert told(f'Bearer, Bearer error="invalid_request", {SCOPE}') == "invalid_request"


def test_the_scheme_is_the_one_the_token_was_sent_with():
    assert told("jwt error=insufficient_scope", "JWT") == "insufficient_scope"
    assert told("JWT error=insufficient_scope", "jwt") == "insufficient_scope"
    assert told("Token error=insufficient_scope", "Token") == "insufficient_scope"
    assert told("JWT error=insufficient_scope") is None
    assert told(SCOPE, "JWT") is None
    assert own_answer(unauthorized(SCOPE)) == "insufficient_scope"


def test_several_headers_of_a_real_answer_are_read_together(http_server):
    headers = [("WWW-Authenticate", 'Basic realm="a, b"'), ("www-authenticate", SCOPE)]
    with requests.get(http_server(lambda _: Reply(401, headers=headers)).url) as response:
        assert len(parse_challenges(response.headers["WWW-Authenticate"])) == 2
        assert own_answer(response) == "insufficient_scope"


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
        # Beyond the grammar.
        ('a b="c" d="e"  f=g', [Challenge("a", {"b": "c", "d": "e", "f": "g"})]),
        ("a b=c d=e", [Challenge("a", {"b": "c", "d": "e"})]),
        ('a b="c";d="e" ; f', [Challenge("a", {"b": "c", "d": "e"}), Challenge("f")]),
        ("; a; b=c", [Challenge("a", {"b": "c"})]),
        ("a b=c;d=e", [Challenge("a", {"b": "c;d=e"})]),
        ("a b=c d e  f, g", [Challenge("a", {"b": "c d e  f"}), Challenge("g")]),
        ("a b='c d'", [Challenge("a", {"b": "'c d'"})]),
        ("a b=h://c?d=e\\", [Challenge("a", {"b": "h://c?d=e\\"})]),
        ("a b=c, d==", [Challenge("a", {"b": "c", "d": "="})]),
        ("a b=1, c= , d=", [Challenge("a", {"b": "1", "c": "", "d": ""})]),
        ("", []),
        (" ,\t", []),
        ("a=b", []),
        ("a==", []),
        ("a b c=d", []),
        ("a b c", []),
        ('a "b"', []),
        ('a b="c"d', []),
        ('a b="c', []),
        ('a b="c\\"', []),
        ('a b="c" d', []),
        ('a b=c"d', []),
        ('a b=c "d"', []),
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


@given(st.data(), CHALLENGES, CHALLENGES, st.sampled_from(list(_challenge.REASONS)))
def test_it_is_found_wherever_it_stands(data, before, after, answer):
    others = data.draw(written(before)), data.draw(written(after))
    assert told(", ".join(others)) is None
    [ours] = data.draw(CHALLENGES.filter(lambda challenges: len(challenges) == 1))
    ours = Challenge("bearer", {**ours.parameters, "error": answer})
    header = ", ".join([others[0], data.draw(written([ours])), others[1]])
    assert told(header) == answer


ANYTHING = st.integers(0, 0x10FFFF).map(chr)
SCRAPS = st.sampled_from(
    [
        "Bearer",
        "Basic",
        " ",
        "\t",
        ",",
        ";",
        "=",
        '"',
        "\\",
        "error",
        '"insufficient_scope"',
        "realm",
    ]
)


@given(st.lists(SCRAPS | ANYTHING, max_size=20).map("".join))
@example('Bearer error="\\')
def test_no_header_raises_or_is_repeated(value):
    assert told(value) in {None, *_challenge.REASONS}


# -- what a hostile server can make it cost ----------------------------------------------------


class Examined:
    """Stands for a pattern, and counts how often it is tried."""

    def __init__(self, pattern):
        self._pattern = pattern
        self.times = 0

    def match(self, text, place):
        self.times += 1
        return self._pattern.match(text, place)


@pytest.fixture
def examined(monkeypatch):
    patterns = {name: Examined(getattr(_challenge, name)) for name in ("_SCHEME", "_PARAMETER")}
    for name, pattern in patterns.items():
        monkeypatch.setattr(_challenge, name, pattern)
    return lambda: [pattern.times for pattern in patterns.values()]


def test_a_header_of_six_megabytes_is_not_looked_at(examined):
    """As many of them as http.client takes, each as long as it takes."""
    response = unauthorized(", ".join([SCOPE + ", a" * 20_000] * 97))
    tracemalloc.start()
    try:
        assert own_answer(response) is None
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()
    assert examined() == [0, 0]


def test_a_header_is_read_up_to_64_kib():
    fill = 64 * 1024 - len(f'{SCOPE}, realm=""')
    assert told(f'{SCOPE}, realm="{"x" * fill}"') == "insufficient_scope"
    assert told(f'{SCOPE}, realm="{"x" * (fill + 1)}"') is None


@pytest.mark.parametrize("element", ["a, ", "a b=c, ", "Bearer realm=x, ", "a b=c "])
def test_a_header_is_read_up_to_a_thousand_elements(examined, element):
    """Challenges and parameters, whichever there are more of."""
    assert told(element * 3_500) is None
    assert examined()[0] == 1000
    assert examined()[1] <= 1000


def test_of_a_thousand_elements_the_last_is_heard():
    assert told("a, " * 998 + "Bearer error=insufficient_scope") == "insufficient_scope"
    assert told("a, " * 999 + "Bearer error=insufficient_scope") is None


@pytest.mark.parametrize(
    "hostile",
    [
        "{0}@",
        "{0} {0}@",
        "a{1}@",
        "a{1}b{1}@",
        "a{1}={1}@",
        'a {0}{2}{1}"',
        'a b="{0}',
        'a b="{3}',
        'a b="{0}"{1}@',
        'a b={0}"',
        'a b={0}{1}"',
        'a b={1}"',
        'a b={6}"',
        'a b=c{1}"',
        'a b="c"{1}{0}',
        'a b="c"{1}{0}{1}',
        'a b="{7}',
        "{4}",
        "a,{4}@",
        "{5}@",
    ],
)
def test_a_hostile_header_is_read_in_linear_time(hostile, monkeypatch):
    """It takes milliseconds, and would take half a minute in quadratic time."""
    monkeypatch.setattr(_challenge, "_MOST_CHARACTERS", 10**6)
    monkeypatch.setattr(_challenge, "_MOST_ELEMENTS", 10**6)
    fills = ("a", " ", "=", "\\", " ,", "a b=c, ", "a ", '\\"')
    header = hostile.format(*[(fill * 60_000)[:60_000] for fill in fills])
    start = time.thread_time()
    assert parse_challenges(header) == []
    assert time.thread_time() - start < 3
