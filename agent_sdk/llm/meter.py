"""What a model call may come to, known from the catalog before it is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from agent_sdk.core.budget import Amounts, PriceUnknown, to_nano
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.model import ModelRequest
from agent_sdk.llm.catalog import Catalog, CatalogEntry

ASSUMED_REPLY_TOKENS = 32_768
"""How long a reply is thought to become where nothing bounds it and models without a price are allowed."""

_MILLION = -6


class ReplyUnbounded(ConfigError):
    """How long a model's reply may become is not known, so that nothing can be set aside for it."""

    code = "reply_unbounded"


@dataclass(frozen=True, slots=True)
class CatalogMeter:
    """Knows what a call may cost that goes to one of several models: the one that is named, and those that stand in for it.

    `models` are their vendors and names; one that is an object is `("object", its class)`, and has the price that a catalog gives it. With
    `allow_unpriced`, for budgets that bound no money or where the operator says so, money counts nothing where no price is known, and a
    reply that nothing bounds is thought to have `ASSUMED_REPLY_TOKENS`.

    Raises:
        ConfigError: there is no model.
    """

    catalog: Catalog
    models: Sequence[tuple[str, str]]
    allow_unpriced: bool = False

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("a meter without a model has nothing to measure")

    def most(self, request: ModelRequest, input_tokens: int) -> Amounts:
        """Return the most of each unit that any of the models may use.

        Raises:
            PriceUnknown: no price of one of them is known.
            ReplyUnbounded: neither the settings nor the catalog bound the reply of one of them.
        """
        each = [self._most(vendor, name, request, input_tokens) for vendor, name in self.models]
        return Amounts(max(amounts.usd_nano for amounts in each), max(amounts.tokens for amounts in each), 1)

    def window(self, model: str) -> int | None:
        """Return the smallest context of the models, so that what fits it fits whichever answers; None where none is known."""
        found = [entry.context_tokens for vendor, name in self.models if (entry := self.catalog.find(vendor, name)) is not None]
        return min((tokens for tokens in found if tokens is not None), default=None)

    def _most(self, vendor: str, name: str, request: ModelRequest, input_tokens: int) -> Amounts:
        entry = self.catalog.find(vendor, name)
        cost = self._rates(f"{vendor}:{name}", entry, request, input_tokens)
        output_tokens = self._longest_reply(f"{vendor}:{name}", entry, request.settings.max_output_tokens)
        usd = (input_tokens * cost[0] + output_tokens * cost[1]).scaleb(_MILLION)
        return Amounts(to_nano(usd), input_tokens + output_tokens, 1)

    def _rates(self, model: str, entry: CatalogEntry | None, request: ModelRequest, input_tokens: int) -> tuple[Decimal, Decimal]:
        """Return the dearest that a token of input, and of output, may be."""
        if entry is None or entry.prices is None:
            if self.allow_unpriced:
                return Decimal(0), Decimal(0)
            hint = "give its prices in a file that the setting `catalog` names, or set allow_unpriced: then it counts as free"
            raise PriceUnknown(f"money is bounded, and what {model} costs is not known", hint=hint)
        rates = entry.prices.rates(input_tokens)
        is_kept_long = request.settings.cache == "long"
        return max(rates.dearest_input, rates.cache_write_long) if is_kept_long else rates.dearest_input, rates.output

    def _longest_reply(self, model: str, entry: CatalogEntry | None, asked: int | None) -> int:
        known = None if entry is None else entry.max_output_tokens or entry.context_tokens
        bounds = [tokens for tokens in (asked, known) if tokens is not None]
        if bounds or self.allow_unpriced:
            return min(bounds, default=ASSUMED_REPLY_TOKENS)
        hint = "set model_call.max_output_tokens, or give the model's max_output_tokens in a file that the setting `catalog` names"
        raise ReplyUnbounded(f"how long a reply of {model} may become is not known", hint=hint)
