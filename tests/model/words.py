"""The words of a login's model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from requests_tokenrefresh import Token

Resource = tuple[str, str, str]  # method, origin, path


class Standing(Enum):
    """What is known of the token in hand."""

    NONE = "there is none"
    UNTRIED = "nobody has said anything of it"
    ON_TRIAL = "it is only for whoever tries it"
    PROVEN = "somebody has accepted it"
    DOUBTED = "all that were asked have refused it"
    REJECTED = "it is held back until there is another"


class Unsaved(Enum):
    """Which stored token the one in hand takes the place of, beside a certain one or none."""

    WHATEVER = "whatever is stored"


@dataclass(frozen=True)
class Rules:
    """How a source is set up.

    Attributes:
        first_patience: In seconds.
        tries: Whether others wait for the first replay with a new token.
        logs_out: Whether a new token that all refuse ends the login.
        unattended: Who gets a login without a person: ``"nobody"``, ``"the refresher"`` itself, or
            a ``"login"`` of its own.
    """

    first_patience: float = 1.0
    tries: bool = True
    logs_out: bool = False
    unattended: str = "nobody"


@dataclass(frozen=True)
class Held:
    """What a caller has to say of a token: a resource's answer, or just his own word (None).

    Attributes:
        replayed: It was the answer to a replay.
        can_replay: The request can be sent again.
    """

    token: Token
    resource: Resource | None
    replayed: bool = False
    can_replay: bool = True


def dead_at(token: Token) -> float:
    return math.inf if token.expires_at is None else token.expires_at
