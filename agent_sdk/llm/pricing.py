"""What answers cost: a wrapper around any model that puts the price on what was used, as far as the catalog knows it."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from decimal import Decimal

from agent_sdk.core.errors import ModelError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Attempt, Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Model
from agent_sdk.core.usage import Usage
from agent_sdk.llm.catalog import Catalog, CatalogEntry
from agent_sdk.llm.retry import close_stream

_MILLION = -6


def price_of(usage: Usage, entry: CatalogEntry | None, *, is_kept_long: bool = False) -> Decimal | None:
    """Return what the tokens cost, exactly; None where the model's prices are not known.

    What was read from the cache and what was written to it (`is_kept_long`: for an hour) have prices of their own; the rest is plain input.
    """
    if entry is None or entry.prices is None:
        return None
    rates = entry.prices.rates(usage.input_tokens)
    plain = max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens)
    write = rates.cache_write_long if is_kept_long else rates.cache_write
    amount = (
        plain * rates.input + usage.cached_tokens * rates.cached + usage.cache_write_tokens * write + usage.output_tokens * rates.output
    )
    return amount.scaleb(_MILLION)


@frozen
class PricedModel:
    """A vendor's adapter whose replies, and errors that know what was used, say what it cost.

    A cost that is there already stays; where the vendor did not say what was used, there is none. `name` is the model's in the catalog,
    where requests give it another one.
    """

    model: Model
    catalog: Catalog
    vendor: str
    name: str | None = None

    async def complete(self, request: ModelRequest) -> ModelReply:
        try:
            reply = await self.model.complete(request)
        except ModelError as error:
            self._price(error, request)
            raise
        return self._priced(reply, request)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        deltas = self.model.stream(request)
        try:
            async for delta in deltas:
                yield ReplyDone(self._priced(delta.reply, request)) if isinstance(delta, ReplyDone) else delta
        except ModelError as error:
            self._price(error, request)
            raise
        finally:
            await close_stream(deltas)

    def _priced(self, reply: ModelReply, request: ModelRequest) -> ModelReply:
        usage = self._with_cost(reply.usage, request, reply.model)
        attempts = tuple([self._attempt(attempt, request) for attempt in reply.attempts])
        return replace(reply, usage=usage, attempts=attempts)

    def _price(self, error: ModelError, request: ModelRequest) -> None:
        if error.usage is not None:
            error.usage = self._with_cost(error.usage, request)

    def _attempt(self, attempt: Attempt, request: ModelRequest) -> Attempt:
        if attempt.usage is None or attempt.model is not None:  # another model's try was priced where that model was asked
            return attempt
        return replace(attempt, usage=self._with_cost(attempt.usage, request))

    def _with_cost(self, usage: Usage, request: ModelRequest, answered_by: str = "") -> Usage:
        if usage.cost_usd is not None or not (
            usage.input_tokens or usage.output_tokens
        ):  # nobody answers with no tokens: they were not told
            return usage
        entry = self.catalog.find(self.vendor, self.name if self.name is not None else request.model)
        if entry is None and answered_by:  # the vendor's alias for a model that is known by its own name
            entry = self.catalog.find(self.vendor, answered_by)
        return replace(usage, cost_usd=price_of(usage, entry, is_kept_long=request.settings.cache == "long"))
