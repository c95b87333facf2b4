"""The threat model: who may learn or do what, how that is enforced, and the tests that attack it.

docs/threats.md is made from it (tests/documentation/list_threats.py), and the tests that it names
are those of `tox -e attacks`: each has the mark ``attack``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

_ROOT = Path(__file__).parents[2]


class Threat(NamedTuple):
    """One row.

    Attributes:
        who: Whoever would like to.
        what: What they would learn or do.
        may: How much of it they can.
        enforced: What sees to it that it is no more.
        tests: ``file::test`` below tests/, or a whole file.
    """

    who: str
    what: str
    may: str
    enforced: str
    tests: tuple[str, ...]


API = "An API in `origins`"
ELSEWHERE = "A server that is none of them"
ISSUER = "The issuer"
PROXY = "A proxy"
USER = "Another user of the machine"
STORE = "Whoever can write the store"
PAGE = "A page in the browser"
READER = "Whoever reads logs"

ASSETS = {
    "Refresh token": "a login, until it is revoked",
    "Access token": "what the login may do, at any of its servers, until it expires",
    "Client secret": "the client, for all of its logins",
    "Code, verifier, `state`, device code": "a login that is about to be",
    "The login itself": "that it goes on, is this person's, and is ended by nobody else",
    "The program, its files and its terminal": "that they do what they are for",
}

THREATS = (
    Threat(
        API,
        "use the access token elsewhere",
        "at the other `origins`: it is a bearer token",
        "that is why you list them; the refresh token and the client secret go to no API",
        ("unit/test_install.py::test_two_logins_for_two_origins",),
    ),
    Threat(
        API,
        "end the login, or take the token from others",
        "no; it can cause some twenty refreshes in an hour",
        "only the issuer ends a login; 401s of one page are its own",
        (
            "unit/test_refresh_bounds.py::"
            "test_one_page_that_is_polled_for_an_hour_costs_twenty_refreshes_at_most",
            "unit/test_own_answers.py",
        ),
    ),
    Threat(
        API,
        "take time and memory by its headers",
        "in proportion to 64 KiB",
        "a bound on size and number, in linear time",
        (
            "unit/test_challenge.py::test_a_hostile_header_is_read_in_linear_time",
            "fuzzing/test_challenges.py",
        ),
    ),
    Threat(
        ELSEWHERE,
        "get the token by a URL that looks right, or by a redirect",
        "no",
        "origins are compared whole, for every request, as each parser reads it",
        (
            "unit/test_origins.py",
            "fuzzing/test_requests.py",
            "unit/test_adapter.py::test_other_origins_get_no_token",
            "unit/test_attach.py::test_a_function_cannot_take_the_token_to_another_origin",
            "integration/test_replay.py::test_a_redirect_to_another_origin_takes_no_token_along",
        ),
    ),
    Threat(
        ELSEWHERE,
        "get what goes to the token endpoint, by a redirect or as another issuer",
        "no",
        "redirects are not followed; metadata and answers name the issuer",
        (
            "integration/test_token_endpoint.py::test_a_redirect_carries_nothing_elsewhere",
            "integration/test_discovery.py",
            "integration/test_login_callbacks.py::test_an_answer_of_another_issuer_ends_it",
        ),
    ),
    Threat(
        ISSUER,
        "end the login",
        "yes, and nobody else but you",
        "by the codes of its own JSON; a gateway's page is none",
        ("unit/test_refusals.py",),
    ),
    Threat(
        ISSUER,
        "hold the program for ever, or fill its memory",
        "for the deadline, and for `max_reply_bytes`",
        "a deadline for all of it; bounds on body, head and packings",
        (
            "integration/test_token_endpoint.py::"
            "test_a_server_that_is_slow_for_ever_is_cut_at_the_deadline",
            "integration/test_token_endpoint.py::"
            "test_a_server_that_hurries_for_ever_is_cut_at_the_deadline",
            "integration/test_token_endpoint.py::"
            "test_a_tls_handshake_that_never_ends_is_cut_at_the_deadline",
            "integration/test_token_endpoint.py::test_what_is_too_large_is_not_unpacked_first",
            "fuzzing/test_token_replies.py",
        ),
    ),
    Threat(
        ISSUER,
        "keep it from asking again, by a date or a number",
        "for an hour at a time",
        "`Retry-After` and stored pauses are capped",
        (
            "unit/test_refreshers_answers.py::test_a_senseless_retry_after_is_as_good_as_none",
            "fuzzing/test_moments.py",
        ),
    ),
    Threat(
        ISSUER,
        "have a secret repeated in an error",
        "only in a spelling that nobody has thought of",
        "what resembles one is not quoted",
        ("fuzzing/test_echoes.py", "fuzzing/test_causes.py"),
    ),
    Threat(
        ISSUER,
        "have what was sent as one person sent again as another",
        "no",
        "a request that was sent as one person is not sent again as another",
        ("integration/test_other_persons.py",),
    ),
    Threat(
        PROXY,
        "read tokens and secrets",
        "over https the host's name; nothing in plain http",
        "plain http through a proxy is refused, whoever has set it",
        (
            "unit/test_adapter.py::test_plain_http_does_not_take_the_token_to_a_proxy",
            "unit/test_attach.py::test_a_function_cannot_take_the_token_to_a_proxy_in_plain_http",
            "unit/test_refreshers_grants.py::"
            "test_plain_http_through_a_proxy_is_refused_when_the_grant_is_made",
            "integration/test_token_endpoint.py::"
            "test_plain_http_does_not_leave_the_machine_through_the_environments_proxy",
            "integration/test_token_endpoint.py::"
            "test_a_proxy_that_is_slow_for_ever_is_cut_at_the_deadline",
        ),
    ),
    Threat(
        USER,
        "read the login file, or a draft of it",
        "no",
        "0600 from the first byte; what others can read is refused",
        (
            "unit/test_file_store_users.py",
            "integration/test_cli_get.py::test_a_store_that_others_can_read_is_refused",
        ),
    ),
    Threat(
        USER,
        "have another login sent, or a file made elsewhere, by a link or a folder",
        "no",
        "links and folders of others are not followed; own ones and root's are",
        (
            "unit/test_file_store_users.py",
            "unit/test_file_store_failures.py::test_a_lock_file_that_is_a_link_is_not_followed",
        ),
    ),
    Threat(
        USER,
        "find a secret among the arguments of a process",
        "no",
        "it is in the environment, a file or typed, and no process is started with one",
        (
            "integration/test_cli_get.py::test_the_secret_comes_from_the_environment",
            "integration/test_cli_login.py",
        ),
    ),
    Threat(
        USER,
        "answer in the browser's place, or listen to it",
        "see that somebody logs in",
        "the loopback alone, on a port of its own; PKCE; an answer needs the `state`",
        (
            "integration/test_login_callbacks.py",
            "unit/test_authorization_code.py::test_the_code_is_exchanged_with_the_verifier",
        ),
    ),
    Threat(
        STORE,
        "learn the login, or change where it goes",
        "both; with `cipher=` neither",
        "encrypted with the login's name; a row that is put in another's place is refused",
        (
            "integration/test_sql_store.py::test_the_row_of_another_login_is_not_taken_for_this_one",
            "unit/test_store_content.py::test_what_was_encrypted_for_another_login_is_corrupt",
        ),
    ),
    Threat(
        STORE,
        "put back an older token of the login",
        "yes, to a program that has not met the newer one",
        "Redis and SQL keep a version, whose loss is an error; the issuer refuses an old token",
        (
            "integration/test_redis_store.py::test_a_login_that_is_older_than_it_was_is_lost",
            "integration/test_sql_store.py::test_a_row_from_before_is_lost_until_somebody_saves",
        ),
    ),
    Threat(
        STORE,
        "break or fill the program by what is stored",
        "keep it from its login",
        "a bound on size; what is no token is an error that leaves it as it is",
        (
            "fuzzing/test_stored_files.py",
            "unit/test_store_content.py::test_content_that_is_too_large_is_corrupt",
        ),
    ),
    Threat(
        PAGE,
        "get a token of the demo's server by a name that it rebinds",
        "no",
        "403 unless `Host` is the loopback with the port; another site changes nothing",
        ("unit/test_cli_server_door.py",),
    ),
    Threat(
        PAGE,
        "put its own login or code into an attempt, or use one",
        "no",
        "`state` of 256 bits, compared in constant time; the first right answer counts, once",
        (
            "unit/test_authorization_code.py::"
            "test_the_question_has_a_challenge_by_s256_and_a_state_of_256_bits",
            "integration/test_login_callbacks.py",
        ),
    ),
    Threat(
        READER,
        "find a secret in a record, a message, an event, a `repr`, a pickle or a variable",
        "no, with the exceptions below",
        "all that the tests make is looked through",
        (
            "unit/test_support_secrecy.py",
            "unit/test_what_errors_tell.py",
            "unit/test_words_of_the_caller.py",
            "integration/test_what_tools_show.py",
            "integration/test_sql_store.py::test_no_log_shows_a_secret",
        ),
    ),
    Threat(
        READER,
        "be shown lines, colours or names that somebody else has made up",
        "no",
        "what others say is made printable in one place",
        (
            "unit/test_foreign_everywhere.py",
            "integration/test_cli_terminal.py",
            "integration/test_login_terminal.py::"
            "test_what_is_pasted_is_not_shown_and_the_terminal_is_as_it_was",
        ),
    ),
)


_NAMED = frozenset(test for threat in THREATS for test in threat.tests)


def mark_attacks(items: list[pytest.Item]) -> None:
    """Mark those of *items* that the table names."""
    for item in items:
        file = item.path.relative_to(_ROOT / "tests").as_posix()
        test = getattr(item, "originalname", item.name)
        if not _NAMED.isdisjoint((file, f"{file}::{test}")):
            item.add_marker("attack")
