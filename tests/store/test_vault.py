"""Login keys as keyed hashes, secrets encrypted for the place where they are kept."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelwire.domain.errors import ConfigError
from parcelwire.store.vault import MASTER_BYTES, Vault

MASTERS = st.binary(min_size=MASTER_BYTES, max_size=MASTER_BYTES)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def vault(master: bytes = bytes(range(32)), seed: int = 1) -> Vault:
    return Vault(master, Random(seed).randbytes)


@given(MASTERS, TEXTS, TEXTS)
def test_what_is_sealed_opens_at_its_place(master: bytes, text: str, place: str) -> None:
    one = vault(master)
    sealed = one.seal(text, place)
    assert vault(master, seed=2).open(sealed, place) == text
    assert len(text) < 4 or text.encode() not in sealed


@given(TEXTS, st.data())
def test_a_changed_byte_a_changed_place_or_another_key_opens_nothing(text: str, data: st.DataObject) -> None:
    one = vault()
    sealed = bytearray(one.seal(text, "endpoint/1/secret"))
    other_master = data.draw(MASTERS.filter(lambda master: master != bytes(range(32))))
    with pytest.raises(ConfigError, match="PARCELWIRE_SECRET_KEY"):
        vault(other_master).open(bytes(sealed), "endpoint/1/secret")
    with pytest.raises(ConfigError, match="endpoint/2/secret"):
        one.open(bytes(sealed), "endpoint/2/secret")
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ConfigError):
        one.open(bytes(sealed), "endpoint/1/secret")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    one = vault()
    assert len({one.seal("secret", "here") for _ in range(50)}) == 50


@given(MASTERS, TEXTS, TEXTS)
def test_a_digest_depends_on_key_and_master_alone(master: bytes, one: str, two: str) -> None:
    assert vault(master, seed=3).digest(one) == vault(master, seed=4).digest(one)
    assert (vault(master).digest(one) == vault(master).digest(two)) == (one == two)
    assert (
        vault(master).digest(one) != vault(bytes(31) + b"\x07").digest(one) or master == bytes(31) + b"\x07"
    )


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_master_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ConfigError, match=f"32 bytes, it is {size}"):
        Vault(bytes(size), bytes)
