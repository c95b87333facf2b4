"""What waits for a person, or for its client to come back: a bounded number, for a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

# Any page in a browser here can begin as many as it likes; the oldest make room.
_MOST = 1000


class Pending(Generic[T]):
    """Items by a key that nobody can guess, kept until they have been dead for as long as they
    lived: so long it can be said of them that they have expired. Not safe from several threads.

    Args:
        seconds: How long an item lives.
        clock: Monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._items: dict[str, tuple[float, T]] = {}  # with when each dies; oldest first

    def __setitem__(self, key: str, item: T) -> None:
        now = self._clock()
        for old, (dies, _) in list(self._items.items()):
            if dies + self.seconds > now and len(self._items) < _MOST:
                break
            del self._items[old]
        self._items[key] = (now + self.seconds, item)

    def items(self) -> Iterator[tuple[str, T]]:
        """Return each item and its key, the dead ones too."""
        return ((key, item) for key, (_, item) in self._items.items())

    def get(self, key: str) -> T | None:
        """Return the item, also a dead one; None: there is none."""
        held = self._items.get(key)
        return None if held is None else held[1]

    def is_alive(self, key: str) -> bool:
        """Whether the item is there, and its time has not come."""
        held = self._items.get(key)
        return held is not None and self._clock() < held[0]
