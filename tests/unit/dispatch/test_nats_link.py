import pytest
from nats.aio.client import Client

from agent_sdk.core.errors import ConfigError
from agent_sdk.dispatch.nats_link import NatsOptions, disconnect, render_servers


def test_several_servers_stand_in_one_url() -> None:
    assert NatsOptions("nats://a:4222, tls://b").urls == ["nats://a:4222", "tls://b"]


@pytest.mark.parametrize(
    "url", ["", "a:4222", "http://a", "nats://", "nats://eve:s3cret@", "nats://a:70000", "nats://a,redis://b", "nats://[::1"]
)
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="no address") as told:
        NatsOptions(url)
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a*", "x" * 65])
def test_a_name_that_no_stream_can_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a NATS stream"):
        NatsOptions("nats://a", name=name)


def test_servers_are_shown_without_user_and_password() -> None:
    assert render_servers("nats://eve:s3cret@a:4222,nats://t0ken@b,nats://c") == "nats://a:4222,nats://b,nats://c"


class _Gone(Client):
    """A connection whose server went away before it was closed."""

    asked = 0

    async def close(self) -> None:
        self.asked += 1
        raise ConnectionResetError("Connection lost")


async def test_a_server_that_is_gone_keeps_nobody_from_disconnecting() -> None:
    client = _Gone()
    await disconnect(client)
    assert client.asked == 1
