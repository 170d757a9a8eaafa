"""From a URL to the dispatcher that it names."""

from urllib.parse import urlsplit

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ports import Clock, Dispatcher, Journal, Random
from agent_sdk.dispatch.journal import JournalDispatcher

NATS_SCHEMES = ("nats", "tls")


async def open_dispatcher(url: str | None, journal: Journal, *, clock: Clock, random: Random) -> Dispatcher:
    """Open what hands runs of `journal` to workers: NATS at a `nats://` or `tls://` URL; without a URL, the journal itself.

    Raises:
        ConfigError: the URL names no dispatcher, its package is not installed, or no server answers.
    """
    if url is None:
        return JournalDispatcher(journal, clock, random)
    if urlsplit(url).scheme not in NATS_SCHEMES:
        raise ConfigError(f"there is no dispatcher for the scheme {urlsplit(url).scheme!r}", hint="write nats://host:4222, or leave it out")
    try:
        from agent_sdk.dispatch.jetstream import NatsDispatcher  # noqa: PLC0415  (who has no NATS installs and loads no client)
        from agent_sdk.dispatch.nats_link import NatsOptions  # noqa: PLC0415  (the same)
    except ModuleNotFoundError as error:
        raise ConfigError("dispatch over NATS needs the package nats-py", hint="pip install 'agent-sdk[nats]'") from error
    return await NatsDispatcher.open(NatsOptions(url), journal, clock, random)
