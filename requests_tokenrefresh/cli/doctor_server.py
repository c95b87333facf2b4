"""What `doctor` tells of a server: the way there, whether it answers, and its clock."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import requests
from requests.utils import select_proxy
from urllib3.exceptions import HTTPError

from .._expiry import http_date
from .._netrc import found_in_netrc
from .._origins import is_read_by_a_proxy
from ..interactive._duration import duration
from ..refreshers._cause import innermost
from ..refreshers._client import NoAuth
from ..refreshers._quote import passwords_in
from .doctor_report import Report

_TIMEOUT = 5.0  # seconds
_APART = 60.0  # seconds between two clocks; less does no harm to a login

# A proxy, without what may be a password.
_PLAIN = re.compile(r"(?:\w+://)?((?:\w[\w.-]*|\[[0-9A-Fa-f:.]+\])(?::\d+)?)/?", re.ASCII)


def tell_server(report: Report, origin: str) -> None:
    """Tell what is between this machine and the server at *origin*, asking it once."""
    with requests.Session() as session:
        session.auth = NoAuth()  # netrc's is not for somebody who asks what time it is
        settings = session.merge_environment_settings(f"{origin}/", {}, None, None, None)
        proxies = {scheme: str(proxy) for scheme, proxy in settings["proxies"].items()}
        report.hide(passwords_in(proxies))
        report.begin(origin)
        report.tell("proxy", _proxy_for(origin, proxies))
        _tell_netrc(report, origin)
        if is_read_by_a_proxy(origin, proxies):
            report.find(
                f"requests to {origin} go through a proxy in plain http, which could read the "
                "token, so they are refused: name its host in NO_PROXY, or use https"
            )
        _tell_clock(report, origin, session, tells_all=all(map(_PLAIN.fullmatch, proxies.values())))


def _proxy_for(origin: str, proxies: Mapping[str, str]) -> str:
    proxy = select_proxy(f"{origin}/", dict(proxies))
    if not proxy:
        return "none"
    # All that is in front of the last @ may be a password that somebody has not escaped.
    user, _, place = proxy.rpartition("@")
    plain = _PLAIN.fullmatch(place)
    if plain is None:
        return "there is one, whose address cannot be read"
    return f"{plain[1]}, with a user name that is not shown" if user else place


def _tell_netrc(report: Report, origin: str) -> None:
    try:
        has_entry = found_in_netrc(f"{origin}/") is not None
    except ValueError:  # requests leaves out one that has mistakes, and not one that is no text
        report.tell("netrc", "cannot be read")
        report.find(
            "netrc is not text in UTF-8, and stops every request that looks into it: mend it"
        )
        return
    said = "an entry, which is used by sessions that this package is not mounted on"
    report.tell("netrc", said if has_entry else "no entry")


def _tell_clock(report: Report, origin: str, session: requests.Session, *, tells_all: bool) -> None:
    """Ask the server what time it is, and tell whether it answers.

    Args:
        tells_all: Whether there is no password in a proxy, which an error might repeat.
    """
    try:
        with session.head(
            f"{origin}/",
            headers={"Cache-Control": "no-cache"},
            timeout=_TIMEOUT,
            allow_redirects=False,
        ) as answer:
            now = time.time()
            report.tell("answers", f"yes ({_about(answer.status_code)})")
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        cause = innermost(error)
        said = f"{type(cause).__name__}{f': {cause}' if tells_all else ''}"
        report.tell("answers", "no")
        report.find(f"{origin} does not answer: {said}")
        return
    date = http_date(answer.headers.get("Date"))
    if date is None:
        report.tell("clock", "it does not say")
        return
    age = answer.headers.get("Age", "")  # of an answer that a cache has kept: RFC 9111 section 5.1
    ahead = now - date - (int(age) if re.fullmatch("[0-9]{1,9}", age) else 0)
    apart = f"{duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'}"
    report.tell("clock", "as here" if abs(ahead) < 1 else f"this machine is {apart} it")
    if abs(ahead) > _APART:
        report.find(
            f"the clock of this machine is {apart} that of {origin}: set it,"
            " or stored expiries mean something else here than elsewhere"
        )


def _about(status: int) -> str:
    # Servers that know nothing but GET and POST; as an answer it is as good as any.
    no_head = status in (405, 501)
    return f"{status}: it takes no HEAD, which does no harm" if no_head else str(status)
