"""Values: dataclasses that the type checker keeps frozen.

Frozen at run time, too, they would cost five times as much to make (every field goes through
``object.__setattr__``), and a refresh makes a hundred of them. ``replace`` is that of the standard library at
less than half its price.
"""

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING

__all__ = ["dataclass", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:

    def dataclass(*, slots, frozen=False):
        """Like that of the standard library, but nothing stops who writes to a frozen value."""

        def decorate(cls):
            made = dataclasses.dataclass(slots=slots, unsafe_hash=frozen)(cls)
            names = [field.name for field in dataclasses.fields(made)]
            made.__values__ = staticmethod(attrgetter(*names, names[0]))  # one more: a tuple in any case
            return made

        return decorate

    def replace(value, /, **changes):
        """A copy with other values in some fields."""
        copy = type(value)(*value.__values__(value)[:-1])
        for name, new in changes.items():
            setattr(copy, name, new)
        return copy
