"""What the answers of APIs have told: doubt, known resources, refreshes in vain. No clock."""

from __future__ import annotations

import pytest

from requests_tokenrefresh._evidence import (
    Asker,
    Evidence,
    InVain,
    Patience,
    Resource,
    resource_of,
)

GET = ("GET", "https://api.example.com", "/data")
POST = ("POST", "https://api.example.com", "/data")
STRANGER, PROVER = Asker.STRANGER, Asker.PROVER


# -- Resources -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/data",
        "HTTPS://api.example.com/data",
        "https://API.Example.COM/data",
        "https://api.example.com:443/data",
        "https://API.example.com:443/data?page=2",
        "https://api.example.com/data?next=https://api.example.com/other",
        "https://api.example.com/data#part",
        "https://api.example.com/data?page=2#part",
        "https://api.example.com/data#part?page=2",
        "https://api.example.com/data?",
        "https://api.example.com/data#",
    ],
)
def test_every_spelling_of_a_url_is_the_same_resource(url: str) -> None:
    assert resource_of("GET", url) == GET


@pytest.mark.parametrize(
    ("method", "url", "resource"),
    [
        ("post", "https://api.example.com/data", POST),
        (None, "https://api.example.com/data", GET),
        (
            "GET",
            "https://api.example.com:8443/data",
            ("GET", "https://api.example.com:8443", "/data"),
        ),
        ("GET", "https://api.example.com:80/data", ("GET", "https://api.example.com:80", "/data")),
        ("GET", "http://localhost:80/data", ("GET", "http://localhost", "/data")),
        ("GET", "http://localhost:443/data", ("GET", "http://localhost:443", "/data")),
        ("GET", "http://localhost:8080/data", ("GET", "http://localhost:8080", "/data")),
        ("GET", "http://[::1]:80/data", ("GET", "http://[::1]", "/data")),
        ("GET", "http://[::80]/data", ("GET", "http://[::80]", "/data")),
        ("GET", "https://api.example.com", ("GET", "https://api.example.com", "/")),
        ("GET", "https://api.example.com/", ("GET", "https://api.example.com", "/")),
        ("GET", "https://api.example.com?page=2", ("GET", "https://api.example.com", "/")),
        ("GET", "https://api.example.com#part", ("GET", "https://api.example.com", "/")),
        ("GET", "https://api.example.com/Data", ("GET", "https://api.example.com", "/Data")),
        ("GET", "https://api.example.com/data/", ("GET", "https://api.example.com", "/data/")),
        ("GET", "https://api.example.com/a/b:443", ("GET", "https://api.example.com", "/a/b:443")),
        (None, None, ("GET", "://", "/")),
    ],
)
def test_a_resource_is_a_method_an_origin_and_a_path(
    method: str | None, url: str | None, resource: Resource
) -> None:
    assert resource_of(method, url) == resource


# -- Patience ------------------------------------------------------------------------------------


def test_a_patience_lasts_until_its_moment_and_no_longer() -> None:
    patience = Patience(8.0, until=50.0)
    assert patience.lasts(49.999)
    assert not patience.lasts(50.0)


@pytest.mark.parametrize(
    ("seconds", "next_one"),
    [(0.0, 0.0), (1.0, 2.0), (149.0, 298.0), (150.0, 300.0), (151.0, 300.0)],
)
def test_the_next_patience_is_twice_as_long_up_to_five_minutes(
    seconds: float, next_one: float
) -> None:
    assert Patience(seconds, 0.0).doubled(1000.0) == Patience(next_one, 1000.0 + next_one)


# -- Doubt ---------------------------------------------------------------------------------------


def test_a_new_doubt_lasts_as_long_as_the_first_patience_and_each_further_one_twice() -> None:
    evidence, steady = Evidence(first=4.0), 1000.0
    lasted = []
    for _ in range(9):
        evidence = evidence.doubted(steady)
        assert evidence.doubt is not None
        lasted.append(evidence.doubt.seconds)
        steady = evidence.doubt.until
        assert evidence.doubts(steady - 0.001)
        assert not evidence.doubts(steady)
    assert lasted == [4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_without_a_refusal_there_is_no_doubt() -> None:
    assert not Evidence().doubts(0.0)


def test_with_no_first_patience_a_doubt_lasts_no_time_at_all() -> None:
    evidence = Evidence(first=0.0).doubted(10.0)
    assert evidence.doubt == Patience(0.0, 10.0)
    assert not evidence.doubts(10.0)
    assert evidence.doubted(11.0).doubt == Patience(0.0, 11.0)


def test_an_acceptance_ends_the_doubt_and_the_next_begins_anew() -> None:
    evidence = Evidence(first=4.0).doubted(0.0).doubted(4.0).proven((), 5.0, rewarded=False)
    assert evidence.doubt is None
    assert evidence.doubted(6.0).doubt == Patience(4.0, 10.0)


# -- Known resources -----------------------------------------------------------------------------


def test_a_resource_is_known_until_its_patience_ends() -> None:
    evidence = Evidence(first=4.0).met(GET, 10.0)
    assert evidence.known == {GET: Patience(4.0, 14.0)}
    assert evidence.knows(GET, 13.999)
    assert not evidence.knows(GET, 14.0)
    assert not evidence.knows(POST, 13.999)


def test_meeting_a_known_resource_changes_nothing() -> None:
    evidence = Evidence(first=4.0).met(GET, 10.0)
    assert evidence.met(GET, 12.0) is evidence
    assert evidence.met(GET, 20.0) is evidence


def test_each_time_it_refuses_again_its_patience_doubles() -> None:
    evidence, steady = Evidence(first=1.0).met(GET, 0.0), 0.0
    lasted = []
    for _ in range(10):
        steady = evidence.known[GET].until
        evidence = evidence.met_again(GET, steady)
        assert evidence.known[GET].until == steady + evidence.known[GET].seconds
        lasted.append(evidence.known[GET].seconds)
    assert lasted == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_one_that_is_not_known_does_not_refuse_again() -> None:
    evidence = Evidence().met(GET, 0.0)
    assert evidence.met_again(POST, 1.0) is evidence


def test_one_that_accepts_is_forgotten_and_the_others_are_not() -> None:
    evidence = Evidence(first=4.0).met(GET, 10.0).met(POST, 11.0)
    assert evidence.accepted(GET).known == {POST: Patience(4.0, 15.0)}
    assert evidence.accepted(GET).met(GET, 20.0).known[GET] == Patience(4.0, 24.0)
    unknown = ("GET", "https://api.example.com", "/unknown")
    assert evidence.accepted(unknown) is evidence


def test_with_no_first_patience_nothing_is_ever_held_against_a_resource() -> None:
    evidence = Evidence(first=0.0).met(GET, 10.0).met_again(GET, 10.0)
    assert evidence.known == {GET: Patience(0.0, 10.0)}
    assert not evidence.knows(GET, 10.0)


def page(number: int) -> Resource:
    return "GET", "https://api.example.com", f"/page/{number}"


def test_of_more_than_256_the_one_heard_of_longest_ago_is_forgotten() -> None:
    evidence = Evidence()
    for number in range(256):
        evidence = evidence.met(page(number), float(number))
    assert len(evidence.known) == 256
    evidence = evidence.met_again(page(0), 300.0)  # heard of just now
    evidence = evidence.met(page(256), 301.0)
    assert len(evidence.known) == 256
    assert page(0) in evidence.known
    assert page(1) not in evidence.known
    assert list(evidence.known)[-2:] == [page(0), page(256)]


def test_who_has_refused_a_token_that_is_proven_then_is_known_from_then_on() -> None:
    evidence = Evidence(first=4.0).met(POST, 0.0).proven((GET, POST), 10.0, rewarded=False)
    assert evidence.known == {POST: Patience(4.0, 4.0), GET: Patience(4.0, 14.0)}


# -- Refreshes in vain ---------------------------------------------------------------------------


@pytest.mark.parametrize("times", range(5))
def test_five_refreshes_in_a_row_need_no_pause(times: int) -> None:
    assert not InVain(times, 100.0).is_enough(100.0)


@pytest.mark.parametrize(
    ("times", "pause"), [(5, 30), (6, 60), (7, 120), (8, 240), (9, 300), (15, 300), (10_000, 300)]
)
def test_before_the_next_one_there_is_a_pause_that_doubles_up_to_five_minutes(
    times: int, pause: int
) -> None:
    in_vain = InVain(times, 100.0)
    assert in_vain.is_enough(100.0)
    assert in_vain.is_enough(100.0 + pause - 0.001)
    assert not in_vain.is_enough(100.0 + pause)


def test_ten_minutes_without_another_one_forget_them_all() -> None:
    in_vain = InVain(9, 100.0)
    assert in_vain.and_one(699.999) == InVain(10, 699.999)
    assert in_vain.and_one(700.0) == InVain(1, 700.0)


def test_one_that_helped_takes_one_back_and_there_are_never_fewer_than_none() -> None:
    assert InVain(5, 100.0).but_one() == InVain(4, 100.0)
    assert InVain(0, 100.0).but_one() == InVain(0, 100.0)


def test_those_of_the_resource_that_has_proven_the_token_are_counted_by_themselves() -> None:
    evidence = Evidence()
    for _ in range(5):
        evidence = evidence.refreshed(STRANGER, 10.0)
    assert (evidence.strangers, evidence.provers) == (InVain(5, 10.0), InVain())
    assert (evidence.is_tired_of(STRANGER, 10.0), evidence.is_tired_of(PROVER, 10.0)) == (
        True,
        False,
    )
    for _ in range(5):
        evidence = evidence.refreshed(PROVER, 20.0)
    assert (evidence.strangers, evidence.provers) == (InVain(5, 10.0), InVain(5, 20.0))
    assert (evidence.is_tired_of(STRANGER, 40.0), evidence.is_tired_of(PROVER, 40.0)) == (
        False,
        True,
    )


def test_an_accepted_replay_takes_back_one_of_each() -> None:
    evidence = Evidence(strangers=InVain(5, 10.0), provers=InVain(1, 20.0))
    rewarded = evidence.proven((), 30.0, rewarded=True)
    assert (rewarded.strangers, rewarded.provers) == (InVain(4, 10.0), InVain(0, 20.0))
    other = evidence.proven((), 30.0, rewarded=False)
    assert (other.strangers, other.provers) == (InVain(5, 10.0), InVain(1, 20.0))


# -- Another login -------------------------------------------------------------------------------


def test_another_login_begins_with_the_first_patience_and_nothing_else() -> None:
    evidence = Evidence(4.0).doubted(0.0).met(GET, 0.0)
    evidence = evidence.refreshed(STRANGER, 0.0).refreshed(PROVER, 0.0)
    assert evidence.anew() == Evidence(first=4.0)


def test_what_is_known_cannot_be_changed_in_place() -> None:
    evidence = Evidence().met(GET, 0.0)
    for known in (evidence.known, evidence.accepted(GET).known, Evidence().known):
        with pytest.raises(TypeError, match="does not support item assignment"):
            known[POST] = Patience(1.0, 1.0)  # type: ignore[index]
