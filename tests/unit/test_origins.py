"""Where a token may go."""

from __future__ import annotations

import pickle
import re
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import event, example, given
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import parse_url

from requests_tokenrefresh._errors import InsecureTransportError
from requests_tokenrefresh._origins import Origins, require_secure
from tests.support.length import few
from tests.support.urls import URLS, destinations

API = Origins(["https://api.example.com"])
SEVERAL = Origins(["https://api.example.com", "https://a:1", "https://[::1]:2", "http://127.0.0.1"])
DESTINATIONS = {
    ("https", "api.example.com", 443),
    ("https", "a", 1),
    ("https", "::1", 2),
    ("http", "127.0.0.1", 80),
}
ADAPTER = HTTPAdapter()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/",
        "https://api.example.com",
        "https://api.example.com/v1/users@evil.com/?next=https://evil.com/#https://evil.com",
        "https://api.example.com?q=1",
        "https://api.example.com#top",
        "HTTPS://API.Example.COM/",
        "https://api.example.com:443/",
        "https://api.example.com/\\@evil.com/",
        "https://api.example.com/a b\tc\u2028",
    ],
)
def test_a_url_of_the_origin_is_allowed(url):
    assert Origins(["https://api.example.com"]).allow(url)


@pytest.mark.parametrize(
    "url",
    [
        # Other places.
        "https://api.example.com.evil.com/",
        "https://api.example.comevil.com/",
        "https://example.com/",
        "https://evil.com/https://api.example.com/",
        "https://evil-api.example.com/",
        "https://apixexample.com/",
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com:4433/",
        "ftp://api.example.com/",
        "https+unix://api.example.com/",
        # User names.
        "https://api.example.com@evil.com/",
        "https://api.example.com:443@evil.com/",
        "https://user@api.example.com/",
        "https://user:password@api.example.com/",
        "https://@api.example.com/",
        # Read differently by different parsers.
        "https://api.example.com\\@evil.com/",
        "https://api.example.com:443\\@evil.com/",
        "https://evil.com\\@api.example.com/",
        "https://api.example.com\\.evil.com/",
        "https:\\\\api.example.com/",
        "https:/\\api.example.com/",
        "https:api.example.com/",
        "https:/api.example.com/",
        "https:///api.example.com/",
        "//api.example.com/",
        "api.example.com/",
        "/api.example.com/",
        "",
        # Other spellings of the host or the port.
        "https://api.example.com./",
        "https://.api.example.com/",
        "https://api..example.com/",
        "https://%61pi.example.com/",
        "https://api.example.com%2f@evil.com/",
        "https://api.example.com%00/",
        "https://\uff41pi.example.com/",
        "https://api\u3002example\u3002com/",
        "https://api.example.com:/",
        "https://api.example.com:0443/",
        "https://api.example.com:0/",
        "https://api.example.com:443:443/",
        "https://api.example.com:\u0664\u0664\u0663/",
        "https://[api.example.com]/",
        # White space and control characters.
        " https://api.example.com/",
        "\nhttps://api.example.com/",
        "https://api.example.com /",
        "https://api.example.com\t/",
        "https://api.example.com\n",
        "https://api.example.com\r\n/",
        "https://api.exam\nple.com/",
        "https://api.example.com\x00/",
        "ht\ntps://api.example.com/",
        # IGNORECASE folds these into s and k, unless it is told to stay within ASCII.
        "http\u017f://api.example.com/",
    ],
)
def test_any_other_url_is_refused(url):
    assert not Origins(["https://api.example.com"]).allow(url)


@pytest.mark.parametrize("rest", [":443/", ":8443:443/", ":84430/", "/"])
def test_an_origin_with_a_port_of_its_own_has_no_other(rest):
    origins = Origins(["https://api.example.com:8443"])
    assert origins.allow("https://api.example.com:8443/")
    assert not origins.allow(f"https://api.example.com{rest}")


def test_the_two_parsers_really_disagree_about_the_url_with_a_backslash():
    url = "http://a:1\\@b:2/"
    assert urlsplit(url).hostname == "b"
    assert parse_url(url).host == "a"
    assert not Origins(["https://a:1", "https://b:2"]).allow(url.replace("http:", "https:"))


@pytest.mark.parametrize(
    ("origin", "normal"),
    [
        ("https://api.example.com/", "https://api.example.com"),
        ("HTTPS://API.Example.com:443", "https://api.example.com"),
        ("https://api.example.com:8443", "https://api.example.com:8443"),
        ("https://api.example.com:80", "https://api.example.com:80"),
        ("https://my_service-2:9/", "https://my_service-2:9"),
        ("https://B\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://stra\u00dfe.example", "https://xn--strae-oqa.example"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("https://api.example.com.", "https://api.example.com."),
        ("http://localhost:80", "http://localhost"),
        ("http://LOCALHOST:8080", "http://localhost:8080"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_where_requests_goes_for_it(origin, normal):
    origins = Origins([origin])
    assert origins.origins == (normal,)
    assert origins.allow(f"{normal}/path")
    assert origins.allow(requests.Request("GET", origin).prepare().url)


def test_several_origins_are_each_allowed_and_nothing_between_them():
    origins = Origins(iter(["https://b:1", "https://a:2", "https://A:2/"]))
    assert origins.origins == ("https://a:2", "https://b:1")
    allowed = [f"https://{h}:{p}" for h in "ab" for p in "12" if origins.allow(f"https://{h}:{p}")]
    assert allowed == ["https://a:2", "https://b:1"]


def test_origins_are_values_that_pickle_and_show_themselves():
    assert repr(SEVERAL) == (
        "Origins(origins=('http://127.0.0.1', 'https://[::1]:2', 'https://a:1', "
        "'https://api.example.com'))"
    )
    again = pickle.loads(pickle.dumps(SEVERAL))
    assert again == SEVERAL == Origins(reversed(SEVERAL.origins))
    assert hash(again) == hash(SEVERAL)
    assert again.allow("https://a:1/")
    assert SEVERAL != API
    with pytest.raises(AttributeError):
        API.origins = ()


@pytest.mark.parametrize("origins", ["https://api.example.com", b"https://a", None, 1])
def test_origins_that_are_no_list_are_refused(origins):
    with pytest.raises(TypeError, match=r'a list, such as \["https://api.example.com"\], got '):
        Origins(origins)


def test_no_origins_are_refused():
    with pytest.raises(ValueError, match="origins is empty"):
        Origins([])


NO_HOST = [
    "",
    "api.example.com",
    "api.example.com:443",
    "//api.example.com",
    "https:api.example.com",
    "https:/api.example.com",
    "https://",
    "https:///path",
    "https://:443",
    "ftp://api.example.com",
    "https+unix://api.example.com",
    "http\u017f://api.example.com",
    " https://api.example.com",
    "https://api.example.com ",
    "https://api example.com",
    "https://api.example.com\n",
    "https://api.example.com\t/",
    "https://api.example.com\x00/",
    "https://a:1\\@b:2/",
    "https://a\\b",
    "https://*.example.com",
    "https://.example.com",
    "https://%61.example.com",
    "https://a\uff0fb.example",
    "https://a\u2100b.example",
    "https://a\u200bb.example",
    "https://\ud800",
    "https://api.example.com:",
    "https://api.example.com:0",
    "https://api.example.com:65536",
    "https://api.example.com:-1",
    "https://api.example.com:https",
    "https://[::1",
    "https://[::1]x",
    "https://[:::1]",
    "https://[fe80::1%25eth0]",
    "https://[fe80::1%eth0]",
    "https://[v1.a]",
    "https://::1",
]


@pytest.mark.parametrize("url", NO_HOST)
def test_what_is_no_absolute_url_with_a_plain_host_is_refused_and_shown(url):
    with pytest.raises(ValueError, match="is not an http or https URL with a plain host") as origin:
        Origins(["https://a", url])
    with pytest.raises(ValueError, match="is not an http or https URL with a plain host") as secure:
        require_secure(url)
    assert "origins[1]" in str(origin.value)
    assert str(secure.value).startswith("the URL is not an http or https URL with a plain host")
    assert "without user name" in str(secure.value)
    if "@" not in url:
        assert f"got {url!r}" in str(origin.value)
    assert origin.value.__context__ is None  # the parser's own error repeats the URL


@pytest.mark.parametrize("url", [None, b"https://api.example.com", 1])
def test_what_is_no_string_is_refused_by_its_type(url):
    with pytest.raises(ValueError, match=f"got {type(url).__name__}"):
        require_secure(url)
    with pytest.raises(ValueError, match=f"got {type(url).__name__}"):
        Origins([url])


@pytest.mark.parametrize(
    "url",
    [
        "https://client:s3cret@auth.example.com/",
        "https://s3cret@auth.example.com",
        "auth.example.com?code=s3cret",
        "auth.example.com#s3cret",
    ],
)
def test_a_secret_in_a_refused_url_is_not_repeated(url):
    for refuse in (require_secure, lambda url: Origins([url])):
        with pytest.raises(ValueError, match="not repeated") as refused:
            refuse(url)
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("rest", ["/v1", "//", "?", "?a=s3cret", "/?", "#", "#s3cret", "/#"])
def test_an_origin_with_more_than_a_host_is_refused_and_corrected(rest):
    with pytest.raises(ValueError, match=r"origins\[0\] .*pass 'https://a:8443'") as refused:
        Origins([f"https://A:8443{rest}"])
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "host",
    [
        "api.example.com",
        "localhost.example.com",
        "app.localhost",
        "localhost.",
        "127.0.0.1.example.com",
        "127.1",
        "127.0.0.01",
        "2130706433",
        "0x7f000001",
        "128.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "[::]",
        "[::2]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_plain_http_to_another_machine_is_refused(host):
    with pytest.raises(InsecureTransportError, match=r"the URL is plain http.* use https for"):
        require_secure(f"http://{host}/token")
    with pytest.raises(InsecureTransportError, match=r"origins\[0\] is plain http"):
        Origins([f"http://{host}"])
    require_secure(f"https://{host}/token")
    assert Origins([f"https://{host}"]).allow(f"https://{host}/")


def test_the_error_names_the_switch_for_a_network_of_ones_own():
    with pytest.raises(InsecureTransportError, match=r"or pass insecure=True if everybody on that"):
        require_secure("http://auth:8000/token")
    with pytest.raises(
        InsecureTransportError, match=r"pass insecure_origins=\['http://api:8000'\]"
    ):
        Origins(["https://a", "http://API:8000/"])


def test_plain_http_to_another_machine_is_allowed_by_name():
    origins = Origins([], ["http://api:8000"])
    assert origins.origins == origins.insecure == ("http://api:8000",)
    assert origins.allow("http://api:8000/orders")
    assert require_secure("http://api:8000/token", insecure=True) is False


@pytest.mark.parametrize(
    "url", ["http://api/", "http://api:8001/", "https://api:8000/", "http://api:8000.evil.org/"]
)
def test_a_name_allows_exactly_one_origin(url):
    origins = Origins(["https://a"], ["http://api:8000"])
    assert origins.origins == ("http://api:8000", "https://a")
    assert not origins.allow(url)


def test_an_origin_may_be_in_both_lists():
    assert Origins(["http://API:80"], ["http://api/"]) == Origins([], ["http://api"])


def test_among_the_insecure_may_be_secure_ones():
    origins = Origins(insecure=["https://a", "http://localhost", "http://b"], origins=["https://c"])
    assert origins.origins == ("http://b", "http://localhost", "https://a", "https://c")
    assert origins.insecure == ("http://b",)
    assert require_secure("https://a/token", insecure=True) is True


def test_an_insecure_origin_is_no_less_an_origin():
    with pytest.raises(ValueError, match=r"insecure_origins\[1\] has something after the host"):
        Origins([], ["http://a", "http://b/path"])
    with pytest.raises(TypeError, match="insecure_origins is a list"):
        Origins(["https://a"], "http://b")


@pytest.mark.parametrize("insecure", ["false", 0, None])
def test_whether_it_may_be_insecure_is_said_by_true_or_false(insecure):
    with pytest.raises(TypeError, match="insecure is True or False, got"):
        require_secure("https://a/token", insecure=insecure)


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:80", "127.0.0.1:8080", "127.255.0.3", "[::1]", "[0:0::1]:9"]
)
def test_plain_http_stays_on_this_machine(host):
    require_secure(f"http://{host}/token?a=b#c")
    assert Origins([f"http://{host}"]).allow(f"http://{host.lower()}/".replace(":80/", "/"))


class Connected(Exception):  # noqa: N818 - it is the answer
    """Where a request would have gone: scheme, host, port."""


def go_no_further(pool, *_args, **_how):
    raise Connected(pool.scheme, pool.host.strip("[]"), pool.port)


ADAPTER.poolmanager.pool_classes_by_scheme = {
    "http": type("Pool", (HTTPConnectionPool,), {"urlopen": go_no_further}),
    "https": type("Pool", (HTTPSConnectionPool,), {"urlopen": go_no_further}),
}


def connected(url):
    request = requests.PreparedRequest()
    request.prepare_method("GET")
    request.prepare_headers({})
    request.url = url
    with pytest.raises(Connected) as connection:
        ADAPTER.send(request)
    return connection.value.args


@few(30)
@given(URLS)
@example("https://api.example.com\\@a:1/")
@example("https://api.example.com:0")
@example("https://[::1]:2\t/")
def test_where_a_token_is_allowed_both_parsers_and_the_connection_go(url):
    """Redirects bring URLs that nobody has prepared, so this holds for any text."""
    allowed = SEVERAL.allow(url)
    event(f"allowed: {allowed}")
    if allowed:
        [destination, other] = destinations(url)
        assert destination == other == connected(url)
        assert destination in DESTINATIONS
        assert "@" not in urlsplit(url).netloc


@few(30)
@given(URLS)
@example("https://API.example.com:00443")
@example("https://a:1?b")
@example("http://127.0.0.1:/")
@example("https://user@a:1/")
@example("://[")
def test_a_prepared_url_is_allowed_exactly_if_both_parsers_go_to_an_origin(url):
    try:
        prepared = requests.Request("GET", url).prepare().url
    except (requests.RequestException, ValueError):
        return
    [destination, other] = destinations(prepared)
    agreed = destination == other and destination in DESTINATIONS
    event(f"agreed: {agreed}")
    assert SEVERAL.allow(prepared) == (agreed and "@" not in urlsplit(prepared).netloc)


@few(30)
@given(URLS)
@example("https://B\u00fccher.example/")
@example("https://localhost:8/x y")
def test_what_is_secure_is_read_alike_by_both_parsers_and_prepared_by_requests(url):
    try:
        require_secure(url)
    except (ValueError, InsecureTransportError):
        return
    prepared = requests.Request("GET", url).prepare().url
    [destination, other] = destinations(prepared)
    assert destination == other
    scheme, host, _ = destination
    assert scheme == "https" or re.fullmatch(r"127(\.[0-9]+){3}|localhost|[0:]+1", host)
    assert Origins([prepared[: prepared.index("/", 8)]]).allow(prepared)
