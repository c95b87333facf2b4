"""What is stored, where tools look that record the variables of an error."""

from __future__ import annotations

from typing import SupportsIndex, TypeVar, overload

from .._foreign import plainly, raised_in

E = TypeVar("E", bound=BaseException)


class Secret(bytes):
    """Bytes that do not show in a log, nor in a traceback with its variables; and no part of them,
    as tools cut off what is long."""

    def __repr__(self) -> str:
        return f"<{len(self)} secret bytes>"

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> Secret: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> int | Secret:
        if isinstance(index, slice):
            return Secret(super().__getitem__(index))
        return super().__getitem__(index)


class SecretText(str):
    """Likewise. What `str()` makes of it shows it, and so does a format."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} secret characters>"

    def __getitem__(self, index: SupportsIndex | slice, /) -> SecretText:
        return SecretText(super().__getitem__(index))


def alone(error: E) -> E:
    """Return *error*, which others have raised while they had what is stored, for a cause.

    It says what it says, printably; what it was raised from, and where, is gone: there the secret
    may stand in a variable.
    """
    for one in raised_in(error):
        one.__cause__ = one.__context__ = one.__traceback__ = None
    return plainly(error)
