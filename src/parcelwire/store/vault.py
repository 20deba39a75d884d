"""Keys at rest: login keys are kept as keyed hashes, signing keys and secrets encrypted.

One master key of 32 bytes, never in the database, gives two working keys (HKDF). Encryption is AES-256-GCM;
the associated data names table, row and field, so that a value cannot be moved to another place.
"""

import hmac
from collections.abc import Callable
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parcelwire.domain.errors import ConfigError

MASTER_BYTES = 32
PREFIX_CHARACTERS = 8  # of a login key, shown to tell keys apart
_NONCE_BYTES = 12


class Vault:
    """Hashes and encrypts with keys derived from ``master``. ``random_bytes`` gives nonces."""

    def __init__(self, master: bytes, random_bytes: Callable[[int], bytes]) -> None:
        if len(master) != MASTER_BYTES:
            raise ConfigError(f"the secret key must be {MASTER_BYTES} bytes, it is {len(master)}")
        self._pepper = _derive(master, b"login keys")
        self._cipher = AESGCM(_derive(master, b"secrets at rest"))
        self._random_bytes = random_bytes

    def digest(self, login_key: str) -> bytes:
        """The keyed hash under which a login key is stored."""
        return hmac.digest(self._pepper, login_key.encode(errors="surrogatepass"), sha256)

    def seal(self, text: str, place: str) -> bytes:
        """``text`` encrypted for ``place`` ("table/row/field")."""
        nonce = self._random_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> str:
        """The text sealed for ``place``. ConfigError when the master key is another one."""
        try:
            opened = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode())
        except InvalidTag:
            raise ConfigError(
                f"{place} was encrypted with another secret key: give PARCELWIRE_SECRET_KEY the key that "
                "belongs to this database"
            ) from None
        return opened.decode()


def secret_place(endpoint: int) -> str:
    """Where the secret of an endpoint is kept."""
    return f"endpoint/{endpoint}/secret"


def secret_before_place(endpoint: int) -> str:
    """Where the secret that was replaced last is kept."""
    return f"endpoint/{endpoint}/secret_before"


def sign_key_place(account: int) -> str:
    """Where the signing key of an account is kept."""
    return f"account/{account}/sign_key"


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"parcelwire " + purpose).derive(master)
