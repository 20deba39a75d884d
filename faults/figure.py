"""What an experiment found: one line for people, values for machines."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """``good``: whether everything that was promised held. ``values`` are counts, or units in their names."""

    name: str
    good: bool
    line: str
    values: dict[str, float | int | str] = field(default_factory=dict)
    tried: bool = True


class Missing(Exception):
    """An experiment needs a program that is not here. The text says which, and how to get it."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of them do not exceed; 0.0 when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
