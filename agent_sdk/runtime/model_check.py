"""Asks models one tiny question each, to see whether they answer, how fast, and for how much."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from agent_sdk.core.errors import AgentSDKError, ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, user_message
from agent_sdk.core.model import ModelReply, ModelRequest, ModelSettings, ReplyDone
from agent_sdk.core.ports import Clock, Model
from agent_sdk.core.usage import Usage
from agent_sdk.llm import parse_model_name
from agent_sdk.llm.catalog import Catalog, CatalogEntry
from agent_sdk.llm.pricing import price_of
from agent_sdk.llm.retry import close_stream, no_reply

QUESTION = "Reply with the one word: ready"
MAX_OUTPUT_TOKENS = 512
"""Enough for one word, also of a model that thinks before it speaks."""

OpenModel = Callable[[str], tuple[Model, str]]
"""From `vendor:name` to the model and the name that requests give it; raises ConfigError."""


@frozen
class ModelFailure:
    """Why a model did not answer."""

    code: str
    message: str
    hint: str | None = None


@frozen
class ModelCheck:
    """How a model answered. `first_token_s` is None where nothing came before the whole reply: the model did not stream.

    `entry` is what the catalog knows of it; `answered_by` the name that the vendor gave.
    """

    model: str
    entry: CatalogEntry | None = None
    latency_s: float | None = None
    first_token_s: float | None = None
    usage: Usage | None = None
    answered_by: str = ""
    request_id: str | None = None
    failure: ModelFailure | None = None

    @property
    def is_counted(self) -> bool:
        """Whether the vendor said what was used."""
        return self.usage is not None and (self.usage.input_tokens > 0 or self.usage.output_tokens > 0)


async def check_models(names: Iterable[str], open_model: OpenModel, catalog: Catalog, clock: Clock) -> list[ModelCheck]:
    """Ask each model once, one after the other, so that none is slowed down by another.

    Raises:
        ConfigError: there are no models to ask.
    """
    checks = [await _check(name, open_model, catalog, clock) for name in dict.fromkeys(names)]
    if not checks:
        raise ConfigError(
            "no model is configured", hint="name one: the setting `model`, an agent's, or `agent-sdk models check openai:gpt-5-mini`"
        )
    return checks


async def _check(name: str, open_model: OpenModel, catalog: Catalog, clock: Clock) -> ModelCheck:
    blank = ModelCheck(name)
    try:
        blank = replace(blank, entry=catalog.find(*parse_model_name(name)))
        model, asked = open_model(name)
        return await _asked(blank, model, asked, clock)
    except AgentSDKError as error:
        return replace(blank, failure=ModelFailure(error.code, error.message, error.hint))


async def _asked(blank: ModelCheck, model: Model, asked: str, clock: Clock) -> ModelCheck:
    most = blank.entry.max_output_tokens if blank.entry is not None else None
    settings = ModelSettings(max_output_tokens=min(MAX_OUTPUT_TOKENS, most or MAX_OUTPUT_TOKENS))
    request = ModelRequest(StepId("check"), asked, Conversation([user_message(QUESTION)]), settings=settings, max_attempts=1)
    began_at = clock.monotonic()
    first_at: float | None = None
    reply: ModelReply | None = None
    deltas = model.stream(request)
    try:
        async for delta in deltas:
            if isinstance(delta, ReplyDone):
                reply = delta.reply
                break
            first_at = clock.monotonic() if first_at is None else first_at
    finally:
        await close_stream(deltas)
    if reply is None:
        raise no_reply()
    if failed := next((attempt for attempt in reply.attempts if attempt.code is not None), None):
        failure = ModelFailure(failed.code or "", "it failed, and what stands in for it answered", "look at the setting `fallbacks`")
        return replace(blank, failure=failure, answered_by=reply.model)
    return replace(
        blank,
        latency_s=clock.monotonic() - began_at,
        first_token_s=None if first_at is None else first_at - began_at,
        usage=_with_cost(reply.usage, blank.entry),
        answered_by=reply.model,
        request_id=reply.request_id,
    )


def _with_cost(usage: Usage, entry: CatalogEntry | None) -> Usage:
    is_final = usage.cost_usd is not None or not (usage.input_tokens or usage.output_tokens)
    return usage if is_final else replace(usage, cost_usd=price_of(usage, entry))
