"""What a person reads first: where to log in, and how long that can be done."""

from __future__ import annotations


class Invitation(str):
    """Text for a person, and what a program can make of it: a QR code, a clock.

    Attributes:
        address: What the person opens.
        seconds: How long that makes sense.
    """

    address: str
    seconds: float

    def __new__(cls, text: str, *, address: str, seconds: float) -> Invitation:  # noqa: PYI034 - typing.Self came with Python 3.11
        """Return *text* as an invitation."""
        invitation = super().__new__(cls, text)
        invitation.address, invitation.seconds = address, seconds
        return invitation
