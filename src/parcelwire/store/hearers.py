"""Who wants to hear that work may have become due; the same for every store."""

from collections.abc import Callable, Iterable, Sequence

from parcelwire.ports import Changed, Refreshed, Work


class Hearers:
    """The hints that were given to a store."""

    def __init__(self) -> None:
        self._hints: list[tuple[frozenset[Work], Callable[[], None]]] = []

    def add(self, hint: Callable[[], None], kinds: Iterable[Work]) -> None:
        """Call ``hint`` from now on; no kinds: all."""
        self._hints.append((frozenset(kinds) or frozenset(Work), hint))

    def tell(self, *kinds: Work) -> None:
        """Work of these kinds may have become due."""
        for wanted, hint in self._hints:
            if not wanted.isdisjoint(kinds):
                hint()


def pushing(saved: Sequence[Changed | Refreshed]) -> tuple[Work, ...]:
    """What may be due besides, once these are saved."""
    return (Work.PUSH,) if any(one.pushes for one in saved) else ()
