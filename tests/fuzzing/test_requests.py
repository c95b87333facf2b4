"""Wherever a request is sent or redirected: a token goes to its origins, and nowhere else."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import requests
from hypothesis import event, example, given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

import requests_tokenrefresh
from requests_tokenrefresh import TokenRefreshAdapter
from tests.fuzzing.telling import no_secret_told, shown
from tests.support.length import few
from tests.support.logins import make_source
from tests.support.urls import URLS, destinations

PACKAGE = Path(requests_tokenrefresh.__file__).parent
ORIGINS = ["https://api.example.com", "https://a:1", "https://[::1]:2", "http://127.0.0.1"]
DESTINATIONS = {
    ("https", "api.example.com", 443),
    ("https", "a", 1),
    ("https", "::1", 2),
    ("http", "127.0.0.1", 80),
}


class Wire(BaseAdapter):
    """Answers as it is told, and remembers what went over it."""

    def __init__(self, answers: list[tuple[int, dict[str, str]]]) -> None:
        super().__init__()
        self.answers = answers
        self.sent: list[tuple[str, Any]] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent.append((request.url, request.headers.get("Authorization")))
        response = requests.Response()
        response.status_code, headers = self.answers.pop(0) if self.answers else (200, {})
        response.headers.update(headers)
        response.request, response.url = request, request.url
        response._content = b""
        return response

    def close(self) -> None:
        pass


def session_over(wire: Wire) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    adapter = TokenRefreshAdapter(make_source(origins=ORIGINS), transport=wire)
    # Wider than anybody should: every request asks the adapter.
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def is_ours(authorization: Any) -> bool:
    text = authorization.decode("latin-1") if isinstance(authorization, bytes) else authorization
    return text is not None and "access-" in text


def passed_through_us(error: Exception) -> bool:
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    return any(Path(file).is_relative_to(PACKAGE) for file in files)


def check_sent(wire: Wire) -> None:
    for url, authorization in wire.sent:
        if is_ours(authorization):
            [one, other] = destinations(url)
            prepared = requests.Request("GET", url).prepare().url
            assert one == other == destinations(prepared)[0]
            assert one in DESTINATIONS


TARGETS = URLS | st.tuples(st.sampled_from(ORIGINS), st.text(max_size=10)).map("".join)
LOCATIONS = TARGETS | st.text(max_size=10) | URLS.map(lambda url: url.partition(":")[2])
ANSWERS = st.tuples(
    st.sampled_from([200, 301, 302, 303, 307, 308, 401, 401]),
    st.fixed_dictionaries(
        {},
        optional={
            "Location": LOCATIONS,
            "WWW-Authenticate": st.sampled_from(["Bearer", "Basic", 'Bearer error="x"']),
        },
    ),
)


@few(25)
@given(TARGETS, st.lists(ANSWERS, max_size=4))
@example("https://a:1/", [(302, {"Location": "https://api.example.com@evil.com/"})])
@example("https://a:1/", [(302, {"Location": "//api.example.com.evil.com/"})])
@example("https://a:1/", [(302, {"Location": "http:///evil.com\\@api.example.com/"})])
def test_a_token_goes_where_all_parsers_see_an_origin(
    url: str, answers: list[tuple[int, dict[str, str]]]
) -> None:
    wire, ours = Wire(answers), False
    with no_secret_told("access-", "refresh-") as told:
        try:
            session_over(wire).get(url)
        except requests.RequestException as error:
            told.append(shown(error))
        except ValueError as error:
            # requests lets one through when it reads a Location: that is without our part.
            told.append(shown(error))
            ours = passed_through_us(error)
    assert not ours
    event(f"with a token: {sum(is_ours(sent) for _, sent in wire.sent)} of {len(wire.sent)}")
    check_sent(wire)


SCHEMES = st.sampled_from(["Bearer", "bearer", "BEARER", "Basic", "Digest", "Bearer,", "", "Tok"])
AUTHORIZATIONS = st.tuples(
    SCHEMES | st.text(max_size=5), st.sampled_from(["", " ", "  ", "\t"]), st.text(max_size=8)
).map("".join)


@few(20)
@given(
    AUTHORIZATIONS | AUTHORIZATIONS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.booleans(),
)
def test_an_authorization_of_another_scheme_goes_out_as_it_is(own: Any, prepared: bool) -> None:
    wire = Wire([(401, {})])
    session = session_over(wire)
    request = requests.Request("GET", "https://a:1/").prepare()
    if prepared:
        try:
            request = requests.Request("GET", "https://a:1/", {"Authorization": own}).prepare()
        except requests.RequestException:
            return
    request.headers["Authorization"] = own
    with no_secret_told("access-", "refresh-"):
        session.send(request)
    text = own.decode("latin-1") if isinstance(own, bytes) else own
    if text.lower() == "bearer" or text.lower().startswith("bearer "):
        assert [sent for _, sent in wire.sent] == ["Bearer access-0", "Bearer access-1"]
    else:
        assert [sent for _, sent in wire.sent] == [own]
    assert request.headers["Authorization"] == own
