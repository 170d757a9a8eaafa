import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.storage.postgres.connect import POOL, parse_address


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_an_address_is_shown_without_password_and_options(scheme: str) -> None:
    address = parse_address(f"{scheme}://eve:secret@db.example:5433/agents?password=other&sslmode=require&pool=3")
    assert address.name == "postgresql://eve@db.example:5433/agents"
    assert address.pool == 3
    assert address.dsn == "postgresql://eve:secret@db.example:5433/agents?password=other&sslmode=require"
    assert "secret" not in repr(address)
    assert "other" not in repr(address)


def test_a_socket_and_the_defaults_need_no_host() -> None:
    address = parse_address("postgresql:///agents?host=/run/postgresql")
    assert (address.name, address.pool) == ("postgresql:///agents", POOL)


def test_a_setting_in_the_url_takes_the_place_of_ours() -> None:
    assert parse_address("postgresql://localhost/a").settings["statement_timeout"]
    assert "statement_timeout" not in parse_address("postgresql://localhost/a?statement_timeout=500").settings


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://eve:se/cret@db/agents",
        "postgresql://eve:12/cret@db/agents",
        "postgresql://eve:cret@db:port/agents",
        "postgresql://eve:cret@db/agents?pool=0",
        "postgresql://eve:cret@db/agents?pool=many",
        "postgresql://eve:cret@db/agents?pool",
        "postgresql://eve:cret@db/agents#cret",
    ],
)
def test_a_malformed_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="malformed") as refused:
        parse_address(url)
    assert "cret" not in f"{refused.value}{refused.value.__cause__}{refused.value.__notes__}"
    assert "pool=10" in (refused.value.hint or "")
