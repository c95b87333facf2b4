"""An interrupt while the answer is on its way: that is heard and saved, and then it goes on."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from requests_tokenrefresh import LoginRequiredError, Token, _asking
from requests_tokenrefresh.events import RefreshEnded
from tests.support.doors import flying
from tests.support.logins import DATA, Heard, Refresher, make_source, wait_for_waiters
from tests.support.threads import start_together
from tests.support.troubled_store import Store

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"), reason="signals are sent to a thread"
)


class OnAnyThread(Refresher):
    """One that may be called on a thread that lives for this call only, as our grants."""

    any_thread = True


def interrupt() -> None:
    """Send Ctrl-C to the leader, which is this test; it takes it before it is answered.

    A signal wakes a thread that waits for a lock, but not one that is about to: so it is sent until
    it is taken.
    """
    main = threading.main_thread().ident
    assert main is not None
    assert threading.get_ident() != main
    for _ in range(100):
        signal.pthread_kill(main, signal.SIGINT)
        if interrupted.wait(0.1):
            return
    pytest.fail("nobody has taken the signal")


interrupted = threading.Event()


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    def handle(*_args: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    interrupted.clear()
    before = signal.signal(signal.SIGINT, handle)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("how", ["refresh", "reject"])
def test_an_answer_that_comes_soon_is_saved_and_the_interrupt_goes_on(how: str) -> None:
    store, heard = Store(), Heard()
    source = make_source(OnAnyThread(interrupt), store=store, listeners=[heard])
    old = source.token()
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old) if how == "refresh" else source.reject(old, DATA)
    assert source.token() == store.load() == Token("access-1", "refresh-1")
    assert flying(source) is None
    assert [e.outcome for e in heard.of(RefreshEnded)] == ["refreshed"]  # type: ignore[attr-defined]


def test_those_who_wait_get_what_was_heard() -> None:
    refresher = OnAnyThread()
    source = make_source(refresher, store=Store())
    old = source.token()
    waiters: list[Any] = []

    def meanwhile() -> None:
        waiters.append(start_together(3, lambda: source.refresh(old)))
        wait_for_waiters(source, 3)
        interrupt()

    refresher.answers.append(meanwhile)
    with pytest.raises(KeyboardInterrupt):
        source.refresh(old)
    assert {o.result().access_token for o in waiters[0].outcomes()} == {"access-1"}
    assert len(refresher.calls) == 1


def test_a_refusal_that_is_heard_ends_the_login() -> None:
    def refuse() -> LoginRequiredError:
        interrupt()
        return LoginRequiredError("refused", reason="invalid_grant")

    reasons: list[str] = []
    source = make_source(OnAnyThread(refuse), store=Store(), on_logout=reasons.append)
    with pytest.raises(KeyboardInterrupt):
        source.refresh(source.token())
    assert reasons == ["invalid_grant"]


def test_an_answer_that_does_not_come_is_waited_for_two_seconds_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _asking._HEARD == 2.0
    monkeypatch.setattr(_asking, "_HEARD", 0.05)
    gate = threading.Event()

    def never() -> None:
        interrupt()
        assert gate.wait(10)

    refresher = OnAnyThread(never)
    source = make_source(refresher, store=Store())
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        source.refresh(source.token())
    assert 0.05 <= time.monotonic() - begun < 5
    assert flying(source) is None
    assert source.token().access_token == "access-2"  # whoever is next asks anew
    gate.set()


def test_one_that_may_be_bound_to_its_thread_is_called_on_it() -> None:
    seen: list[int] = []
    source = make_source(Refresher(lambda: seen.append(threading.get_ident())))
    source.refresh(source.token())
    assert seen == [threading.get_ident()]


@pytest.mark.parametrize(
    "ask", [lambda source: source.token(), lambda source: source.refresh(source.token())]
)
def test_a_refresher_on_another_thread_that_asks_its_own_source_is_told_so(
    ask: Callable[[Any], object],
) -> None:
    source = make_source(OnAnyThread(lambda: ask(source)), logged_in=False)
    with pytest.raises(Exception, match="it must work without one"):
        source.token()


def test_the_thread_that_asks_has_a_name_and_does_not_keep_a_program_from_its_end() -> None:
    seen: list[threading.Thread] = []
    source = make_source(OnAnyThread(lambda: seen.append(threading.current_thread())))
    source.refresh(source.token())
    assert [thread.name for thread in seen] == [f"{threading.current_thread().name}, asking"]
    assert seen[0].daemon


def test_what_a_handler_raises_while_the_thread_starts_does_not_ask_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though a thread that cannot be had is a RuntimeError as well."""
    start = threading.Thread.start

    def interrupted_start(thread: threading.Thread) -> None:
        start(thread)
        raise RuntimeError("the handler's")

    refresher, store = OnAnyThread(), Store()
    source = make_source(refresher, store=store)
    old = source.token()
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="the handler's"):
        patch.setattr(threading.Thread, "start", interrupted_start)
        source.refresh(old)
    assert len(refresher.calls) == 1
    assert source.token() == store.load() == Token("access-1", "refresh-1")


def test_where_no_thread_can_be_had_it_is_called_all_the_same(
    no_more_threads: Callable[[], None],
) -> None:
    source = make_source(OnAnyThread())
    old = source.token()
    no_more_threads()
    assert source.refresh(old).access_token == "access-1"


def test_an_unattended_login_is_heard_as_well() -> None:
    store = Store()
    source = make_source(Refresher(), store=store, login=OnAnyThread(interrupt), logged_in=False)
    with pytest.raises(KeyboardInterrupt):
        source.token()
    assert source.token() == store.load() == Token("access-1", "refresh-1")
