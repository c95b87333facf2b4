"""What every thread was doing when: lanes from requests and events, and the window around one."""

import itertools
from collections.abc import Sequence

import pytest

from requests_tokenrefresh import events
from requests_tokenrefresh.cli.timeline import (
    Lane,
    Phase,
    SentRequest,
    Span,
    Timeline,
    around_busiest_flight,
    lanes_of,
)


def sent(thread: str, start: float, end: float) -> SentRequest:
    return SentRequest(thread, start, end, failed=False)


def waits(thread: str, start: float, end: float) -> list[events.Event]:
    return [events.WaitStarted(start, thread), events.WaitEnded(end, thread, seconds=end - start)]


def refreshes(thread: str, start: float, end: float) -> list[events.Event]:
    return [
        events.RefreshStarted(start, thread, why="reactive"),
        events.RefreshEnded(end, thread, outcome="refreshed"),
    ]


def replays(thread: str, start: float, end: float, *, trial: bool = False) -> list[events.Event]:
    return [
        events.ReplayStarted(start, thread, trial=trial),
        events.ReplayEnded(end, thread, verdict="accepted"),
    ]


def rejected(thread: str, at: float) -> list[events.Event]:
    return [events.TokenRejected(at, thread, replay=False)]


def one_lane(request: SentRequest, *news: Sequence[events.Event]) -> Lane:
    (lane,) = lanes_of([request], itertools.chain(*news))
    return lane


def test_a_request_with_a_good_token_is_one_span():
    assert one_lane(sent("t", 1, 2)) == Lane("t", (Span(Phase.REQUEST, 1, 2),), ())


def test_the_leader_is_rejected_refreshes_and_tries():
    lane = one_lane(
        sent("t", 1, 9),
        rejected("t", 2),
        refreshes("t", 3, 5),
        replays("t", 6, 8, trial=True),
    )
    assert lane.spans == (
        Span(Phase.REQUEST, 1, 2),
        Span(Phase.REFRESH, 3, 5),
        Span(Phase.TRIAL, 6, 8),
    )
    assert lane.rejections == (2,)


def test_a_rejected_waiter_waits_and_replays():
    lane = one_lane(sent("t", 1, 9), rejected("t", 2), waits("t", 3, 5), replays("t", 6, 8))
    assert lane.spans == (
        Span(Phase.REQUEST, 1, 2),
        Span(Phase.WAITING, 3, 5),
        Span(Phase.REPLAY, 6, 8),
    )


def test_a_request_that_waits_before_it_leaves_is_a_request_only_afterwards():
    lane = one_lane(sent("t", 1, 9), waits("t", 2, 5))
    assert lane.spans == (Span(Phase.WAITING, 2, 5), Span(Phase.REQUEST, 5, 9))


def test_a_preemptive_leader_sends_its_request_after_the_refresh():
    lane = one_lane(sent("t", 1, 9), refreshes("t", 2, 5))
    assert lane.spans == (Span(Phase.REFRESH, 2, 5), Span(Phase.REQUEST, 5, 9))


def test_events_of_no_phase_end_nothing_that_comes_after():
    lane = one_lane(sent("t", 1, 2), [events.LoggedOut(3, "t", reason="logged_out")])
    assert lane.spans == (Span(Phase.REQUEST, 1, 2),)


def storm(waiters: int, *, at: float = 10.0) -> tuple[list[SentRequest], list[events.Event]]:
    """Thread 0 is rejected and refreshes; thread 1 is rejected and waits; others only wait."""
    requests = [sent("t0", at - 1, at + 6), sent("t1", at - 1, at + 8)]
    news = (
        rejected("t0", at) + refreshes("t0", at, at + 4) + replays("t0", at + 4, at + 6, trial=True)
    )
    news += rejected("t1", at + 0.5) + waits("t1", at + 1, at + 6) + replays("t1", at + 6, at + 8)
    for n in range(2, waiters + 1):
        start = at + 1 + n / 100
        requests.append(sent(f"t{n}", start, at + 7))
        news += waits(f"t{n}", start, at + 6)
    return requests, news


def around(requests: list[SentRequest], news: list[events.Event], most_lanes: int = 50) -> Timeline:
    timeline = around_busiest_flight(requests, news, most_lanes=most_lanes)
    assert timeline is not None
    return timeline


def test_without_a_refresh_there_is_no_timeline():
    assert around_busiest_flight([sent("t", 1, 2)], [], most_lanes=5) is None


def test_the_flight_is_read_off_the_lanes():
    timeline = around(*storm(waiters=5))
    flight = timeline.flight
    assert (flight.leader, flight.start, flight.refreshed) == ("t0", 10, 14)
    assert flight.trial == Span(Phase.TRIAL, 14, 16)
    assert (flight.waiters, flight.settled) == (5, 18)
    assert (timeline.threads, timeline.rejections, timeline.zero) == (6, 2, 10)


def test_the_window_begins_before_the_flight_and_ends_after_the_last_waiter():
    timeline = around(*storm(waiters=5))
    assert (timeline.start, timeline.end) == (8, 18.8)


def test_the_busiest_of_several_flights_is_shown():
    quiet, storm_at_50 = storm(waiters=2), storm(waiters=9, at=50)
    timeline = around(quiet[0] + storm_at_50[0], quiet[1] + storm_at_50[1])
    assert timeline.flight.start == 50
    assert all(span.start >= timeline.start for lane in timeline.lanes for span in lane.spans)
    assert all(at >= 50 for lane in timeline.lanes for at in lane.rejections)


def test_what_reaches_into_the_window_is_cut_at_its_edges():
    requests, news = storm(waiters=2)
    timeline = around([*requests, sent("long", 0, 100)], news)
    long = next(lane for lane in timeline.lanes if lane.thread == "long")
    assert long.spans == (Span(Phase.REQUEST, timeline.start, timeline.end),)


def test_a_refresh_without_waiters_and_without_a_trial_ends_its_own_window():
    timeline = around([sent("t", 0, 9)], refreshes("t", 2, 6))
    assert timeline.flight.trial is None
    assert timeline.flight.settled == 6


def test_a_waiter_that_went_home_without_an_answer_counts_until_then():
    requests, news = storm(waiters=2)
    timeline = around([*requests, sent("t9", 12, 19)], news + waits("t9", 12, 19))
    assert timeline.flight.settled == 19


def test_lanes_are_in_the_order_in_which_the_flight_stopped_them():
    requests, news = storm(waiters=4)
    timeline = around([sent("idle", 9, 9.5), *reversed(requests)], news)
    assert [lane.thread for lane in timeline.lanes] == ["t0", "t1", "t2", "t3", "t4", "idle"]


def test_the_leader_is_first_even_if_another_was_rejected_before():
    requests, news = storm(waiters=3)
    timeline = around(requests, [*rejected("t3", 9.5), *news])
    assert [lane.thread for lane in timeline.lanes] == ["t0", "t3", "t1", "t2"]
    assert timeline.zero == 9.5


def test_few_lanes_are_the_leader_who_met_a_401_and_an_even_choice_of_the_others():
    timeline = around(*storm(waiters=41), most_lanes=6)
    assert [lane.thread for lane in timeline.lanes] == ["t0", "t1", "t2", "t12", "t22", "t32"]
    assert timeline.threads == 42


def test_one_lane_is_the_leader():
    timeline = around(*storm(waiters=5), most_lanes=1)
    assert [lane.thread for lane in timeline.lanes] == ["t0"]


def test_the_title_and_the_summary_say_what_happened():
    timeline = around(*storm(waiters=9), most_lanes=3)
    assert timeline.title == "One expired token, one refresh"
    assert timeline.summary == (
        "10 threads share one login (3 shown): 2 met a 401, one refreshed (4000 ms), "
        "9 waited for it."
    )


def test_a_refresh_that_nobody_was_rejected_for_was_ahead_of_time():
    timeline = around([sent("t", 0, 9)], refreshes("t", 2, 6))
    assert timeline.title == "One refresh, ahead of time"
    assert timeline.summary.startswith("1 threads share one login: 0 met a 401")
    assert timeline.zero == 2


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(3, [0, 5]), (12, [-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8]), (6, [-2, 0, 2, 4, 6, 8])],
)
def test_the_axis_counts_in_round_steps_from_the_first_401(most, ticks):
    assert around(*storm(waiters=5)).ticks(most) == ticks
