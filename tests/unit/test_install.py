"""`install`: which sessions have the adapter, what it gives way to, and how it is undone."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import InvalidSchema

from requests_tokenrefresh import TokenRefreshAdapter, TokenSource, install, uninstall
from requests_tokenrefresh.testing import FakeTokenSource
from tests.support.guarded_api import GuardedAPI
from tests.support.logins import ORIGIN, make_source
from tests.support.threads import run_together

OTHER = "https://other.example.com"

real_init = requests.Session.__init__


@pytest.fixture(autouse=True)
def nothing_is_left_installed() -> Iterator[None]:
    yield
    assert requests.Session.__init__ is real_init


@pytest.fixture
def api() -> Iterator[GuardedAPI]:
    with GuardedAPI() as api:
        yield api


def login_of(session: requests.Session, url: str = ORIGIN) -> TokenSource | None:
    """Whose tokens *session* sends to *url*."""
    adapter = session.get_adapter(url)
    return adapter._source if isinstance(adapter, TokenRefreshAdapter) else None


class Recorder(BaseAdapter):
    """Counts instead of sending."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str | None] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **how: Any) -> requests.Response:
        self.tokens.append(request.headers.get("Authorization"))
        response = requests.Response()
        response.status_code, response.request = 200, request
        return response

    def close(self) -> None:
        pass


# -- Which sessions --------------------------------------------------------------------------------


def test_the_hidden_session_of_requests_get_survives_expiry(api: GuardedAPI) -> None:
    with install(api.tokens):
        api.tokens.revoke()
        assert requests.get(f"{api.url}/orders").text == "/orders"
    assert api.sent == ["Bearer access-0", "Bearer access-1"]


def test_sessions_made_before_are_untouched() -> None:
    with requests.Session() as session, install(make_source()):
        assert login_of(session) is None


def test_sessions_made_in_between_keep_theirs_and_later_ones_have_none() -> None:
    tokens = make_source()
    with install(tokens), requests.Session() as between:
        pass
    assert login_of(between) is tokens
    assert login_of(requests.Session()) is None


def test_a_class_imported_long_before_is_reached(api: GuardedAPI) -> None:
    from requests import Session

    with install(api.tokens), Session() as session:
        assert session.get(api.url).status_code == 200


def test_nothing_is_mounted_outside_of_the_origins() -> None:
    with install(make_source()), requests.Session() as session:
        assert list(session.adapters) == [ORIGIN, "https://", "http://"]


def test_sessions_of_other_threads_have_it_too() -> None:
    with install(make_source()):
        outcomes = run_together(8, lambda: login_of(requests.Session()))
    assert None not in [outcome.result() for outcome in outcomes]


def test_options_reach_the_adapter(api: GuardedAPI) -> None:
    asked: list[int] = []

    def is_rejected(response: requests.Response) -> bool:
        asked.append(response.status_code)
        return response.status_code == 401

    with install(api.tokens, is_rejected=is_rejected, spool_bodies=9), requests.Session() as s:
        s.get(api.url)
        adapter = s.get_adapter(api.url)
    assert asked == [200]
    assert isinstance(adapter, TokenRefreshAdapter)
    assert adapter._spool_bodies == 9


@pytest.mark.parametrize(
    ("arguments", "options"), [(["a token"], {}), ([make_source()], {"spool_bodies": -1})]
)
def test_a_mistake_is_raised_at_the_door(arguments: list[Any], options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        install(*arguments, **options)


# -- What it gives way to --------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [ORIGIN, f"{ORIGIN}/", f"{ORIGIN}/v2/"])
def test_an_adapter_mounted_by_hand_wins(prefix: str) -> None:
    own = Recorder()
    with install(make_source()), requests.Session() as session:
        session.mount(prefix, own)
        session.get(f"{ORIGIN}/v2/orders")
    assert own.tokens == [None]


def test_an_adapter_that_a_subclass_mounts_wins() -> None:
    own = Recorder()

    class Client(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            self.mount(ORIGIN, own)

    with install(make_source()), Client() as client:
        assert client.get_adapter(ORIGIN) is own


def test_one_mounted_for_all_of_https_is_wrapped_whenever_it_comes() -> None:
    """Its retries and TLS settings would be lost otherwise."""
    own, later = Recorder(), Recorder()

    class Client(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            self.mount("https://", own)

    with install(make_source()):
        client = Client()
        client.get(ORIGIN)
        client.mount("https://", later)
        client.get(ORIGIN)
    assert (own.tokens, later.tokens) == (["Bearer access-0"], ["Bearer access-0"])


def test_a_session_without_an_adapter_still_has_none() -> None:
    with install(make_source()), requests.Session() as session:
        del session.adapters["https://"]
        with pytest.raises(InvalidSchema, match="No connection adapters"):
            session.get(ORIGIN)


@pytest.mark.parametrize("prefix", [ORIGIN, "https://"])
def test_a_login_mounted_by_hand_wins(prefix: str) -> None:
    """Also on a shorter prefix, and although what it wraps is the adapter installed, whose own
    login is over."""
    sent, installed = Recorder(), make_source()
    installed.logout()
    with install(installed), requests.Session() as session:
        session.mount("https://", sent)
        by_hand = FakeTokenSource()
        by_hand.login("by-hand")
        transport = session.get_adapter(ORIGIN)
        session.mount(prefix, TokenRefreshAdapter(by_hand, transport=transport))
        session.get(ORIGIN)
    assert sent.tokens == ["Bearer by-hand"]


def test_a_login_mounted_by_hand_inside_of_an_adapter_of_others_wins_too() -> None:
    """What is sent as that one is answered as that one: the other learns nothing of it."""

    class Wrapping(HTTPAdapter):
        def __init__(self, inner: BaseAdapter) -> None:
            super().__init__()
            self.inner = inner

        def send(self, *args: Any, **how: Any) -> requests.Response:
            return self.inner.send(*args, **how)

    sent, installed = Recorder(), make_source()
    installed.logout()
    with install(installed), requests.Session() as session:
        by_hand = FakeTokenSource()
        by_hand.login("by-hand")
        session.mount("https://", Wrapping(TokenRefreshAdapter(by_hand, transport=sent)))
        session.get(ORIGIN)
    assert sent.tokens == ["Bearer by-hand"]


def test_a_login_mounted_by_hand_for_another_origin_is_passed_through() -> None:
    sent = Recorder()
    with install(make_source()), requests.Session() as session:
        other = make_source(origins=[OTHER])
        session.mount("https://", TokenRefreshAdapter(other, transport=sent))
        session.get(ORIGIN)
    assert sent.tokens == ["Bearer access-0"]


@pytest.mark.parametrize(("prefix", "times"), [("{url}", 1), ("{url}/orders", 1), ("http://", 2)])
def test_what_wraps_the_adapter_installed_is_not_asked_twice(
    api: GuardedAPI, prefix: str, times: int
) -> None:
    """On a shorter prefix the two send by each other, and it is this one that is in front."""

    class Counter(HTTPAdapter):
        def __init__(self, wrapped: BaseAdapter) -> None:
            super().__init__()
            self.wrapped, self.count = wrapped, 0

        def send(
            self, request: requests.PreparedRequest, *args: Any, **how: Any
        ) -> requests.Response:
            self.count += 1
            return self.wrapped.send(request, *args, **how)

    with install(api.tokens), requests.Session() as session:
        counter = Counter(session.get_adapter(api.url))
        session.mount(prefix.format(url=api.url), counter)
        api.tokens.revoke()
        assert session.get(f"{api.url}/orders").text == "/orders"
    assert counter.count == times  # with the replay, if it is below
    assert api.sent == ["Bearer access-0", "Bearer access-1"]


# -- Several ---------------------------------------------------------------------------------------


def test_two_logins_for_two_origins() -> None:
    ours, theirs = make_source(), make_source(origins=[OTHER])
    with install(ours), install(theirs):
        session = requests.Session()
    assert (login_of(session), login_of(session, OTHER)) == (ours, theirs)


def test_one_origin_may_be_the_beginning_of_another(api: GuardedAPI) -> None:
    with install(make_source(origins=["http://127.0.0.1"])), install(api.tokens):
        api.tokens.revoke()
        assert requests.get(f"{api.url}/orders").status_code == 200
    assert api.sent == ["Bearer access-0", "Bearer access-1"]


def test_the_later_of_two_logins_for_one_origin_has_it_until_it_is_gone() -> None:
    outer, inner = make_source(), make_source()
    sent = Recorder()
    with install(outer):
        with install(inner), requests.Session() as session:
            assert login_of(session) is inner
            session.mount("https://", sent)
            session.get(ORIGIN)
        assert login_of(requests.Session()) is outer
    assert len(sent.tokens) == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_installations_end_in_any_order(order: tuple[int, ...]) -> None:
    sources = [make_source() for _ in order]
    installations = [install(source) for source in sources]
    left = list(sources)
    for number in order:
        assert login_of(requests.Session()) is left[-1]
        installations[number].uninstall()
        left.remove(sources[number])
    assert login_of(requests.Session()) is None


def test_one_login_installed_twice_is_gone_when_both_are() -> None:
    tokens = make_source()
    with install(tokens):
        with install(tokens):
            pass
        assert login_of(requests.Session()) is tokens


def test_uninstall_undoes_all_and_may_come_again() -> None:
    first, second = install(make_source()), install(make_source(origins=[OTHER]))
    uninstall()
    session = requests.Session()
    assert login_of(session) is login_of(session, OTHER) is None
    for undo in (first.uninstall, second.uninstall, uninstall):
        undo()


def test_what_is_raised_inside_comes_out() -> None:
    with pytest.raises(KeyError), install(make_source()):
        raise KeyError


def test_threads_install_and_uninstall_while_others_make_sessions() -> None:
    """Each finds its own login while it is installed, and nothing of it afterwards."""
    done = threading.Event()
    mistakes: list[str] = []

    def make_sessions() -> None:
        while not done.is_set():
            session = requests.Session()
            if len(session.adapters) not in range(2, 6):
                mistakes.append(f"mounted {list(session.adapters)}")

    def come_and_go(number: int) -> None:
        origin = f"https://{number}.example.com"
        tokens = make_source(origins=[origin])
        for _ in range(30):
            with install(tokens):
                if login_of(requests.Session(), origin) is not tokens:
                    mistakes.append("installed, and not there")
            if login_of(requests.Session(), origin) is not None:
                mistakes.append("uninstalled, and still there")

    bystander = threading.Thread(target=make_sessions)
    bystander.start()
    numbers = iter(range(3))
    for outcome in run_together(3, lambda: come_and_go(next(numbers))):
        outcome.result()
    done.set()
    bystander.join()
    assert mistakes == []


# -- Other people's patches ------------------------------------------------------------------------


Init = Callable[..., None]


@pytest.fixture
def put_back() -> Iterator[None]:
    yield
    requests.Session.__init__ = real_init  # type: ignore[method-assign]


def counting(before: Init) -> tuple[Init, list[object]]:
    """Somebody else's wrapper of `Session.__init__`, and what it has seen."""
    seen: list[object] = []

    def wrapper(self: requests.Session) -> None:
        before(self)
        seen.append(self)

    return wrapper, seen


def test_the_patch_is_one_however_many_are_installed() -> None:
    with install(make_source()):
        patched = requests.Session.__init__
        with install(make_source()):
            assert requests.Session.__init__ is patched
        assert requests.Session.__init__ is patched


def test_the_patch_looks_like_what_it_wraps() -> None:
    with install(make_source()):
        assert inspect.signature(requests.Session) == inspect.signature(real_init).replace(
            parameters=()
        ).replace(return_annotation=inspect.signature(requests.Session).return_annotation)
        assert requests.Session.__init__.__qualname__ == "Session.__init__"


@pytest.mark.usefixtures("put_back")
def test_a_patch_put_on_top_of_ours_stays_when_ours_goes() -> None:
    installation = install(make_source())
    theirs, seen = counting(requests.Session.__init__)
    requests.Session.__init__ = theirs  # type: ignore[method-assign]
    installation.uninstall()

    assert requests.Session.__init__ is theirs
    session = requests.Session()
    assert (login_of(session), seen) == (None, [session])


@pytest.mark.usefixtures("put_back")
def test_installing_again_above_such_a_patch_works_and_is_undone() -> None:
    installation = install(make_source())
    theirs, seen = counting(requests.Session.__init__)
    requests.Session.__init__ = theirs  # type: ignore[method-assign]
    installation.uninstall()

    tokens, sent = make_source(), Recorder()
    with install(tokens), requests.Session() as session:
        assert login_of(session) is tokens
        session.mount("https://", sent)
        session.get(ORIGIN)
    assert len(sent.tokens) == len(seen) == 1
    assert requests.Session.__init__ is theirs


@pytest.mark.usefixtures("put_back")
def test_a_patch_put_below_ours_is_what_comes_back() -> None:
    theirs, seen = counting(real_init)
    requests.Session.__init__ = theirs  # type: ignore[method-assign]
    with install(make_source()):
        session = requests.Session()
    assert seen == [session]
    assert requests.Session.__init__ is theirs


def test_a_patch_that_was_taken_away_is_put_on_again_by_the_next_install() -> None:
    """By somebody who put back what was there before theirs, and before ours."""
    ours, theirs = make_source(), make_source(origins=[OTHER])
    with install(ours):
        requests.Session.__init__ = real_init  # type: ignore[method-assign]
        with install(theirs):
            session = requests.Session()
            assert (login_of(session), login_of(session, OTHER)) == (ours, theirs)
        assert login_of(requests.Session()) is ours


# -- The life of a session -------------------------------------------------------------------------


@pytest.fixture
def stored(api: GuardedAPI, tmp_path: Path) -> TokenSource:
    """A login that pickles."""
    tokens = TokenSource(_refuse, origins=[api.url], store=tmp_path / "login")
    tokens.login("access-0")
    return tokens


def _refuse(token: object) -> str:
    raise AssertionError("nobody needs a refresh here")


@pytest.mark.parametrize(
    "copied", [lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy, copy.copy]
)
def test_a_copy_of_a_session_has_it_too(
    api: GuardedAPI, stored: TokenSource, copied: Callable[[Any], Any]
) -> None:
    """Unpickling does not call `__init__`."""
    with install(stored):
        original = requests.Session()
    with copied(original) as session:
        assert session.get(api.url).status_code == 200
        session.mount("http://", Recorder())
        session.get(api.url)
        assert session.adapters["http://"].tokens == ["Bearer access-0"]


def test_a_session_whose_login_is_in_memory_says_why_it_does_not_pickle() -> None:
    with install(make_source()), pytest.raises(TypeError, match="store=FileTokenStore"):
        pickle.dumps(requests.Session())


@pytest.mark.parametrize("copied", [lambda it: it, lambda it: pickle.loads(pickle.dumps(it))])
def test_an_adapter_outlives_its_session(
    api: GuardedAPI, stored: TokenSource, copied: Callable[[Any], Any]
) -> None:
    with install(stored):
        adapter = copied(copied(requests.Session().get_adapter(api.url)))
    with requests.Session() as other:
        other.mount(api.url, adapter)
        assert other.get(api.url).status_code == 200


def test_a_forgotten_session_is_gone_at_once() -> None:
    """Its connections would stay open until the garbage collector finds it."""
    gc.disable()
    try:
        with install(make_source()):
            session = requests.Session()
        gone = weakref.ref(session.adapters["https://"])
        del session
        assert gone() is None
    finally:
        gc.enable()


def test_closing_a_session_closes_each_adapter_once() -> None:
    class Closed(HTTPAdapter):
        times = 0

        def close(self) -> None:
            self.times += 1
            super().close()

    own = Closed()
    with install(make_source()), requests.Session() as session:
        session.mount("https://", own)
    assert own.times == 1
