"""What the operator may give, and what is said when it is wrong."""

import re
from pathlib import Path

import pytest
from tests.process.child import environment

from parcelwire.app import Service, settings_from
from parcelwire.domain.account import is_guessable
from parcelwire.domain.errors import ConfigError

NEAR = {
    "PARCELWIRE_CARRIER_DHL_APIKEY": "PARCELWIRE_CARRIER_DHL_API_KEY",
    "PARCELWIRE_CARRIER_FEDEX_CLIENTID": "PARCELWIRE_CARRIER_FEDEX_CLIENT_ID",
    "PARCELWIRE_CARRIER_UPS_SECRET": "PARCELWIRE_CARRIER_UPS_CLIENT_SECRET",
    "PARCELWIRE_CARRIER_SEVENTEENTRACK_KEY": "PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN",
    "PARCELWIRE_CARRIER_UPSS_URL": "PARCELWIRE_CARRIER_UPS_URL",
    "PARCELWIRE_RATELIMIT": "PARCELWIRE_RATE_LIMIT",
}


@pytest.mark.parametrize(("given", "meant"), NEAR.items())
def test_a_name_that_is_no_setting_is_told_with_the_nearest(given: str, meant: str) -> None:
    settings = settings_from({given: "x"})
    assert settings.unknown == {given: meant}
    assert not any(one.secrets for one in settings.carriers.values())


def test_a_name_that_is_near_nothing_is_told_too() -> None:
    assert settings_from({"PARCELWIRE_XYZZY": "1"}).unknown == {"PARCELWIRE_XYZZY": ""}


def test_what_carriers_may_be_given_is_no_unknown_setting() -> None:
    environ = {
        "PARCELWIRE_CARRIER_UPS_CLIENT_ID": "1", "PARCELWIRE_CARRIER_UPS_ALERT_CREDENTIAL_BEFORE": "2",
        "PARCELWIRE_CARRIER_UPS_ALERT_HEADER": "3", "PARCELWIRE_CARRIER_SEVENTEENTRACK_TOKEN_BEFORE": "4",
        "PARCELWIRE_CARRIER_CHINA_POST_SM4_KEY": "5", "PARCELWIRE_CARRIER_SANDBOX_URL": "http://127.0.0.1:1/",
    }  # fmt: skip
    settings = settings_from(environ)
    assert settings.unknown == {}
    assert settings.carriers["ups"].secrets == {
        "client_id": "1", "alert_credential_before": "2", "alert_header": "3",
    }  # fmt: skip
    assert settings.carriers["sandbox"].url == "http://127.0.0.1:1"


WRONG = {
    "rate_limit = -1": "rate_limit in {file} (PARCELWIRE_RATE_LIMIT): '-1' is not valid",
    "push_schedule = ['soon']": "push_schedule in {file} (PARCELWIRE_PUSH_SCHEDULE): 'soon' is not valid",
    "[carrier.dhl]\nurl = 'api'": "url of [carrier.dhl] in {file} (PARCELWIRE_CARRIER_DHL_URL): 'api' is not",
    "secret_key = 'CANARY'": "secret_key in {file} (PARCELWIRE_SECRET_KEY): the given value is not valid",
}


@pytest.mark.parametrize(("toml", "told"), WRONG.items())
def test_an_error_in_the_file_names_the_key_as_it_stands_there(tmp_path: Path, toml: str, told: str) -> None:
    file = tmp_path / "parcelwire.toml"
    file.write_text(toml, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        settings_from({"PARCELWIRE_CONFIG": str(file)})
    assert str(caught.value).startswith(told.format(file=file))
    assert "CANARY" not in str(caught.value)


def test_an_error_in_a_secret_file_names_its_variable(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("CANARY")
    with pytest.raises(ConfigError) as caught:
        settings_from({"PARCELWIRE_SECRET_KEY_FILE": str(file)})
    assert "PARCELWIRE_SECRET_KEY (from PARCELWIRE_SECRET_KEY_FILE)" in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("empty", [True, False])
async def test_a_secret_key_without_its_database_is_no_first_start(tmp_path: Path, empty: bool) -> None:
    """A new account would refuse every client; the key is left where it is."""
    settings = settings_from(environment(tmp_path))
    service = Service(settings)
    await service.start()
    await service.stop()
    key = (tmp_path / "secret.key").read_text()
    database = tmp_path / "parcelwire.db"
    database.unlink()
    if empty:
        database.touch()
    with pytest.raises(ConfigError, match=r"missing or empty: put it back \(parcelwire restore FILE\)"):
        await Service(settings).start()
    assert (tmp_path / "secret.key").read_text() == key


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("Postgresql://u:pw@db/x", "postgresql://u:pw@db/x"),
        ("POSTGRES://u:pw@db/x", "postgres://u:pw@db/x"),
        ("/srv/parcels.db", "/srv/parcels.db"),
        ("C:\\data\\parcels.db", "C:\\data\\parcels.db"),
    ],
)
def test_a_database_is_a_path_or_a_dsn_in_any_case(given: str, taken: str) -> None:
    settings = settings_from({"PARCELWIRE_DATABASE": given})
    assert settings.database == taken
    assert settings.on_postgres == taken.startswith("postgres")


@pytest.mark.parametrize(
    "given",
    [
        "postgresql+psycopg://u:sEcret@127.0.0.1:1/x",
        "mysql://u:sE@cr:et@127.0.0.1:1/x",
        "sqlite:///parcels.db?password=sEcret",
        "postgresql:u:sEcret@127.0.0.1/x",
    ],
)
def test_what_is_like_a_url_never_becomes_a_database_file(given: str) -> None:
    with pytest.raises(ConfigError, match=r"^PARCELWIRE_DATABASE: .* postgresql://user:password@") as caught:
        settings_from({"PARCELWIRE_DATABASE": given})
    assert not re.search("sEcret|sE@|cr:et", str(caught.value))


REFUSED = {
    "PARCELWIRE_FIRST_KEY": ("changeme1234", "MY-PASSWORD", "aaaaaaaaaaaa", "abababababab"),
    "PARCELWIRE_WEBHOOK_SIGN_KEY": ("x", "secret", "test-key-of-mine"),
    "PARCELWIRE_SECRET_KEY": ("00" * 32, "abababab" * 8),
}


@pytest.mark.parametrize(("name", "value"), [(name, one) for name, them in REFUSED.items() for one in them])
async def test_a_start_that_listens_beyond_loopback_refuses_what_can_be_guessed(
    tmp_path: Path, name: str, value: str
) -> None:
    """Before anything is made; on loopback alone the same is let through."""
    environ = environment(tmp_path / "data", PARCELWIRE_LISTEN="0.0.0.0:0") | {
        "PARCELWIRE_FIRST_KEY": "Zq8vK2mXw4Tn", name: value,
    }  # fmt: skip
    with pytest.raises(ConfigError, match=f"^{name}: a secret that others can guess"):
        await Service(settings_from(environ)).start()
    assert not (tmp_path / "data").exists()
    service = Service(settings_from(environ | {"PARCELWIRE_LISTEN": "127.0.0.1:0"}))
    await service.start()
    await service.stop()


@pytest.mark.parametrize(
    "name", ["PARCELWIRE_FIRST_KEY", "PARCELWIRE_WEBHOOK_SIGN_KEY", "PARCELWIRE_SECRET_KEY"]
)
def test_an_empty_secret_is_refused_wherever_it_listens(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        settings_from({name: ""})


async def test_without_secrets_of_its_own_it_makes_random_ones(tmp_path: Path) -> None:
    environ = environment(tmp_path, PARCELWIRE_LISTEN="0.0.0.0:0")
    del environ["PARCELWIRE_FIRST_KEY"]
    service = Service(settings_from(environ))
    await service.start()
    await service.stop()
    assert service.first_start is not None
    key = service.first_start.login_key
    assert key is not None
    assert len(key) == 32
    assert not is_guessable(key)
