"""A pytest plugin: which tests fail on urllib3-future, each with the reason.

What it means for a login stands in docs/drop-in.md. Used by ``tox -e urllib3-future`` only. A test
that is in ``FAILS`` and passes is a failure: then something has become better there.
"""

from __future__ import annotations

import re

import pytest
import urllib3

FAILS = {
    # What is different for a login.
    "it tells only in words that an answer broke off between two chunks": (
        r"test_(a_lost_answer_is_asked_for_once_more_at_once|an_answer_that_is_lost_twice_is_transient)"
        r"\[(half a chunk|no last chunk|a chunk of no size)\]"
    ),
    "each of its pools starts a thread, and Python 3.12 has none at the end": (
        r"test_where_no_thread_can_be_started_(the_exchange_goes_without|a_failure_is_told_as_ever"
        r"|the_rest_of_a_last_answer_is_not_waited_for)"
    ),
    "by a thread that watches connections it outlives a pool": (
        r"test_closing_is_quick_and_leaves_no_thread_with_connections_still_open"
    ),
    # What is no answer is none there either, and the error has another name or text.
    "it says in its own words what is wrong with an answer": (
        r"test_(an_answer_that_is_none_is_transient_and_not_lost\[(?!.*(DecodeError|InvalidHeader)\])"
        r"|an_answer_that_is_lost_twice_is_transient\[half a body\]"
        r"|a_script_can_reset_its_connection)"
    ),
    "it has a limit of its own for the head of an answer, and looks at no larger one": (
        r"test_a_head_of_six_megabytes_is_not_looked_at"
    ),
    "an answer with a line that is no header is none, so that it is not seen what the status was": (
        r"test_what_is_no_header_is_in_no_log"
    ),
    # What is no difference, but nothing that can be tried there.
    "the test makes urllib3 older than it is, and this one cannot be": (
        r"test_(?!.*decodes_itself).*\bread\]$"
    ),
    "the test stands in for what connects, and it has something else there": (
        r"test_who_cannot_be_reached_is_tried_once_more_at_once"
        r"|test_who_takes_too_long_to_answer_the_phone_is_not"
        r"|test_a_proxy_that_nobody_can_reach_is_tried_once_more"
    ),
}

# They pass as well, where the machine is busy.
MAY_FAIL = {
    "it calls itself for each interim answer, and may be too deep for that before the deadline": (
        r"test_a_server_that_hurries_for_ever_is_cut_at_the_deadline"
    ),
}

# Not as an expected failure, because what fails is found when the test has ended.
NOT_RUN = {
    "a method that is none is refused later, beneath more frames, and each shows the request": (
        r"test_(an_attach_that_fails_tells_no_token"
        r"|what_cannot_be_sent_has_failed_for_the_request_as_it_was)\[a method that is none\]"
    ),
}


def pytest_configure() -> None:
    if not hasattr(urllib3, "AsyncPoolManager"):
        raise pytest.UsageError(f"this is urllib3 {urllib3.__version__}, and not urllib3-future")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for reason, names in FAILS.items():
            if re.match(names, item.name):
                item.add_marker(pytest.mark.xfail(reason=reason))  # strict, by setup.cfg
        for reason, names in MAY_FAIL.items():
            if re.match(names, item.name):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
        for reason, names in NOT_RUN.items():
            if re.match(names, item.name):
                item.add_marker(pytest.mark.skip(reason=reason))
