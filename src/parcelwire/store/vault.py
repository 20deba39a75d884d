"""Keys at rest: login keys are kept as keyed hashes, signing keys and secrets encrypted.

Master keys of 32 bytes, never in the database; the newest encrypts, older ones still open what they have
sealed (``secrets rotate`` seals it again). Encryption is AES-256-GCM: a sealed value begins with the id of
its key, and its associated data names table, row and field, so that it cannot be moved to another place.

Hashes of login keys and marks of the audit must outlive a rotation: nobody has the login keys to hash them
again. They are made with the *root*, derived once from the first master key; the database keeps it, sealed.
"""

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelwire.domain.errors import ConfigError

MASTER_BYTES = 32
PREFIX_CHARACTERS = 8  # of a login key, shown to tell keys apart
ROOT_PLACE = "meta/root"
PREFIX_BYTES = 8  # of a sealed value: what it is, and which key sealed it
_SEALED = b"PWk1"
_NONCE_BYTES = 12

Ring = Callable[[], Sequence[bytes]]  # the master keys as they are now, the newest first


class Vault:
    """Hashes and encrypts. ``random_bytes`` gives nonces.

    ``keys``: the one master key, or what reads them all. They are read again before each sealing, and when a
    value was sealed with a key that is not known: so a process learns of a rotation by another one.
    """

    def __init__(self, keys: bytes | Ring, random_bytes: Callable[[int], bytes]) -> None:
        self._ring: Ring = keys if callable(keys) else lambda: (keys,)
        self._random_bytes = random_bytes
        self._masters: tuple[bytes, ...] = ()
        self._ciphers: dict[bytes, AESGCM] = {}
        self.refresh()
        self._take_root(_derive(self._ring()[-1], b"login keys"))

    def refresh(self) -> None:
        """Read the master keys again."""
        masters = tuple(self._ring())
        if masters == self._masters:
            return
        for master in masters:
            if len(master) != MASTER_BYTES:
                raise ConfigError(f"the secret key must be {MASTER_BYTES} bytes, it is {len(master)}")
        self._ciphers = {_prefix(master): AESGCM(_derive(master, b"secrets at rest")) for master in masters}
        self._masters = masters

    @property
    def newest(self) -> bytes:
        """How values begin that the newest key has sealed."""
        return next(iter(self._ciphers))

    def digest(self, login_key: str) -> bytes:
        """The keyed hash under which a login key is stored."""
        return hmac.digest(self._root, login_key.encode(errors="surrogatepass"), sha256)

    def mark(self, content: bytes) -> bytes:
        """What proves that a row of the audit is as it was written here."""
        return hmac.digest(self._marks, content, sha256)

    def adopt(self, sealed: bytes) -> None:
        """Work with the root that a database keeps. ConfigError when it was sealed with another key."""
        self._take_root(bytes.fromhex(self.open(sealed, ROOT_PLACE)))

    def seal_root(self) -> bytes:
        """The root as a database keeps it."""
        return self.seal(self._root.hex(), ROOT_PLACE)

    def seal(self, text: str, place: str) -> bytes:
        """``text`` encrypted for ``place`` ("table/row/field")."""
        self.refresh()
        nonce = self._random_bytes(_NONCE_BYTES)
        prefix = self.newest
        return prefix + nonce + self._ciphers[prefix].encrypt(nonce, text.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """The text sealed for ``place``. ConfigError when none of the master keys is the right one."""
        prefix = sealed[:PREFIX_BYTES]
        if prefix.startswith(_SEALED) and prefix not in self._ciphers:
            self.refresh()
        cipher = self._ciphers.get(prefix)
        nonce, encrypted = _split(sealed[PREFIX_BYTES:])
        try:
            if cipher is not None:
                return cipher.decrypt(nonce, encrypted, place.encode()).decode()
            return self._open_unnamed(sealed, place)
        except InvalidTag:
            what = "the database" if place == ROOT_PLACE else place
            raise ConfigError(
                f"{what} was encrypted with another secret key: give PARCELWIRE_SECRET_KEY the key that "
                "belongs to this database; for a backup from before a rotation both, <new>,<old>"
            ) from None

    def _open_unnamed(self, sealed: bytes, place: str) -> str:
        """A value that was sealed before sealed values named their key."""
        nonce, encrypted = _split(sealed)
        for cipher in self._ciphers.values():
            try:
                return cipher.decrypt(nonce, encrypted, place.encode()).decode()
            except InvalidTag:
                continue
        raise InvalidTag

    def _take_root(self, root: bytes) -> None:
        self._root = root
        self._marks = hmac.digest(root, b"audit", sha256)


def secret_place(endpoint: int) -> str:
    """Where the secret of an endpoint is kept."""
    return f"endpoint/{endpoint}/secret"


def secret_before_place(endpoint: int) -> str:
    """Where the secret that was replaced last is kept."""
    return f"endpoint/{endpoint}/secret_before"


def sign_key_place(account: int) -> str:
    """Where the signing key of an account is kept."""
    return f"account/{account}/sign_key"


# Every encrypted column: its table, and where a row's value is kept.
SEALED_COLUMNS: tuple[tuple[str, str, Callable[[int], str]], ...] = (
    ("account", "sign_key", sign_key_place),
    ("endpoint", "secret", secret_place),
    ("endpoint", "secret_before", secret_before_place),
)


def _split(nonce_and_text: bytes) -> tuple[bytes, bytes]:
    return nonce_and_text[:_NONCE_BYTES], nonce_and_text[_NONCE_BYTES:]


def _prefix(master: bytes) -> bytes:
    return _SEALED + _derive(master, b"key id")[: PREFIX_BYTES - len(_SEALED)]


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"parcelwire " + purpose).derive(master)
