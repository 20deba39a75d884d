"""Where the secret keys are: a file in the data folder, one key a line, the newest first; or a setting."""

from collections.abc import Callable, Sequence
from pathlib import Path

from parcelwire.domain.errors import ConfigError
from parcelwire.files import write_private
from parcelwire.store.vault import MASTER_BYTES


class KeyFile:
    """``ports.Keyring`` on a file. ``random_bytes`` gives new keys."""

    def __init__(self, path: Path, random_bytes: Callable[[int], bytes]) -> None:
        self.path = path
        self._random_bytes = random_bytes

    def read(self) -> tuple[bytes, ...]:
        """The keys. ConfigError when there are none."""
        try:
            keys = tuple(bytes.fromhex(line) for line in self.path.read_text(encoding="ascii").split())
        except FileNotFoundError:
            raise ConfigError(
                f"the secret key {self.path} is missing, which the stored secrets need: put it there, or "
                "give it in PARCELWIRE_SECRET_KEY"
            ) from None
        except ValueError:
            keys = ()
        if not keys:
            raise ConfigError(f"{self.path} is not a secret key: restore it from your backup")
        return keys

    def make_first(self) -> bool:
        """Make the first key; False when there is a file already."""
        if self.path.exists():
            return False
        self._write([self._random_bytes(MASTER_BYTES)])
        return True

    def count(self) -> int:
        return len(self.read())

    def add(self) -> bool:
        self._write([self._random_bytes(MASTER_BYTES), *self.read()])
        return True

    def forget_older(self) -> bool:
        self._write(self.read()[:1])
        return True

    def _write(self, keys: Sequence[bytes]) -> None:
        write_private(self.path, "".join(f"{key.hex()}\n" for key in keys))


class GivenKeys:
    """``ports.Keyring`` of a setting, which only the operator can change."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys

    def read(self) -> tuple[bytes, ...]:
        """The keys."""
        return self._keys

    def count(self) -> int:
        return len(self._keys)

    def add(self) -> bool:
        return False

    def forget_older(self) -> bool:
        return False
