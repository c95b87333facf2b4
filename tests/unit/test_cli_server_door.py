"""What the demo's server lets in, by what a request says of itself."""

from __future__ import annotations

from http.client import HTTPMessage

import pytest

from requests_tokenrefresh.cli.server_door import Refused, check_sender, length_of_body

OURS = "127.0.0.1:8401"


def message(*headers: tuple[str, str]) -> HTTPMessage:
    found = HTTPMessage()
    for name, value in headers:
        found[name] = value
    return found


def check(*headers: tuple[str, str], method: str = "GET", target: str = "/data") -> None:
    check_sender(method, target, message(*headers), port=8401)


@pytest.mark.parametrize(
    "host", [OURS, "localhost:8401", "[::1]:8401", "LocalHost:8401", "127.0.0.1:8401 "]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_who_names_the_server_by_the_loopback_comes_in(method: str, host: str) -> None:
    check(("Host", host), method=method)


STRANGERS = [
    "evil.example:8401",
    "evil.example",
    "127.0.0.1",
    "127.0.0.1:8402",
    "127.0.0.1:08401",
    "127.0.0.1:8401.evil.example",
    "127.0.0.1:8401@evil.example",
    "127.0.0.1.evil.example:8401",
    "localhost.evil.example:8401",
    "localhost.:8401",
    "evil.localhost:8401",
    "0.0.0.0:8401",
    "127.0.0.2:8401",
    "127.1:8401",
    "2130706433:8401",
    "[::ffff:127.0.0.1]:8401",
    "[::]:8401",
    "::1:8401",
    "127.0.0.1:8401, evil.example",
    "127.0.0.1:8401:8401",
    "localho\u017ft:8401",
    "",
]


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("host", STRANGERS)
def test_who_names_it_otherwise_stays_outside(host: str, method: str) -> None:
    """A page on the web may have let its own name mean 127.0.0.1 meanwhile (DNS rebinding)."""
    with pytest.raises(Refused) as refused:
        check(("Host", host), method=method)
    assert refused.value.status == 403


def test_who_names_nobody_or_two_stays_outside() -> None:
    for headers in ([], [("Host", OURS), ("Host", "evil.example")], [("Host", OURS)] * 2):
        with pytest.raises(Refused, match="one Host"):
            check(*headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:80", "[::1]"])
def test_the_default_port_need_not_be_named(host: str) -> None:
    check_sender("GET", "/", message(("Host", host)), port=80)


@pytest.mark.parametrize(
    "target", ["http://evil.example/login", "http://127.0.0.1:8401/login", "*", "", "http://["]
)
def test_a_target_that_names_a_server_is_refused(target: str) -> None:
    with pytest.raises(Refused, match="begins with /") as refused:
        check(("Host", OURS), target=target)
    assert refused.value.status == 400


ANOTHER_SITE = [
    ("Origin", "https://evil.example"),
    ("Origin", "null"),
    ("Origin", "http://127.0.0.1:8402"),
    ("Origin", "https://127.0.0.1:8401"),
    ("Origin", "http://127.0.0.1:8401.evil.example"),
    ("Origin", ""),
    ("Referer", "https://evil.example/page"),
    ("Referer", "http://127.0.0.1:8402/"),
    ("Referer", "http://127.0.0.1:8401@evil.example/"),
    ("Referer", "http://127.0.0.1:84011/"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Site", "same-site"),
    ("Sec-Fetch-Site", "something new"),
]


@pytest.mark.parametrize("header", ANOTHER_SITE)
def test_a_page_of_another_site_changes_nothing(header: tuple[str, str]) -> None:
    for method in ("POST", "PUT", "DELETE"):
        with pytest.raises(Refused, match="another site") as refused:
            check(("Host", OURS), header, method=method)
        assert refused.value.status == 403


def test_one_that_says_both_is_another_site() -> None:
    with pytest.raises(Refused, match="another site"):
        check(
            ("Host", OURS),
            ("Origin", f"http://{OURS}"),
            ("Origin", "https://evil.example"),
            method="POST",
        )


@pytest.mark.parametrize("header", ANOTHER_SITE)
def test_a_link_on_another_site_may_lead_here(header: tuple[str, str]) -> None:
    check(("Host", OURS), header)


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", f"http://{OURS}"),
        ("Origin", "http://LOCALHOST:8401"),
        ("Referer", f"http://{OURS}"),
        ("Referer", f"http://{OURS}/page?x=https://evil.example"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Site", "none"),
    ],
)
def test_a_page_of_its_own_would_be_let_in(header: tuple[str, str]) -> None:
    check(("Host", OURS), header, method="POST")


# -- The body ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], 0),
        ([("Content-Length", "0")], 0),
        ([("Content-Length", " 5 ")], 5),
        ([("Content-Length", "0005")], 5),
        ([("Content-Length", str(1 << 20))], 1 << 20),
    ],
)
def test_a_body_is_as_long_as_it_says(headers: list[tuple[str, str]], length: int) -> None:
    assert length_of_body(message(*headers)) == length


LENGTH = "Content-Length"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(LENGTH, str((1 << 20) + 1))], 413),
        ([(LENGTH, "9" * 5000)], 413),
        ([(LENGTH, "0" * 5000 + "9" * 8)], 413),
        ([(LENGTH, "-1")], 400),
        ([(LENGTH, "-0")], 400),
        ([(LENGTH, "+5")], 400),
        ([(LENGTH, "5.0")], 400),
        ([(LENGTH, "5_0")], 400),
        ([(LENGTH, "0x5")], 400),
        ([(LENGTH, "5e0")], 400),
        ([(LENGTH, "")], 400),
        ([(LENGTH, "5 5")], 400),
        ([(LENGTH, "5, 5")], 400),
        ([(LENGTH, "\u0665")], 400),
        ([(LENGTH, "\xb2")], 400),
        ([(LENGTH, "5"), (LENGTH, "0")], 400),
        ([(LENGTH, "5"), (LENGTH, "5")], 400),
        ([("Transfer-Encoding", "chunked")], 411),
        ([("Transfer-Encoding", "CHUNKED")], 411),
        ([("Transfer-Encoding", "identity")], 501),
        ([("Transfer-Encoding", "gzip, chunked")], 501),
        ([("Transfer-Encoding", "")], 501),
        ([("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "x")], 501),
        ([("Transfer-Encoding", "chunked"), (LENGTH, "5")], 400),
    ],
)
def test_a_body_whose_length_cannot_be_known_is_refused(
    headers: list[tuple[str, str]], status: int
) -> None:
    with pytest.raises(Refused) as refused:
        length_of_body(message(*headers))
    assert refused.value.status == status
