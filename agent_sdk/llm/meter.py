"""What a model call may come to, known from the catalog before it is made."""

from collections.abc import Sequence

from agent_sdk.core.budget import NOTHING, Amounts, PriceUnknown, to_nano
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import ModelRequest
from agent_sdk.llm.catalog import Catalog, CatalogEntry

ASSUMED_REPLY_TOKENS = 32_768
"""How long a reply is thought to become where neither the request nor the catalog bounds it."""

_MILLION = -6
_PRICE_HINT = "give its prices in a file that the setting `catalog` names, or set allow_unpriced: then it counts as free"
_LENGTH_HINT = "set model_call.max_output_tokens, or give the model's max_output_tokens in a file that the setting `catalog` names"


@frozen
class CatalogMeter:
    """Knows what a call may cost that goes to one of several models: the one that is named, and those that stand in for it.

    `models` are their vendors and names; one that is an object is `("object", its class)`, and has the price that a catalog gives it. With
    `allow_unpriced`, for budgets that bound no money or where the operator says so, a model whose price is not known counts as free.

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
            PriceUnknown: no price of one of them is known, or how long its reply may become; `most` is what is known without the money.
        """
        most, unknown = NOTHING, None
        for vendor, name in self.models:
            try:
                amounts = self._most(vendor, name, request, input_tokens)
            except PriceUnknown as error:
                amounts, unknown = error.most, unknown or error
            most = most.at_least(amounts)
        if unknown is not None:
            unknown.most = Amounts(0, most.tokens, most.calls)
            raise unknown
        return most

    def window(self, model: str) -> int | None:
        """Return the smallest context of the models, so that what fits it fits whichever answers; None where none is known."""
        found = [entry.context_tokens for vendor, name in self.models if (entry := self.catalog.find(vendor, name)) is not None]
        return min((tokens for tokens in found if tokens is not None), default=None)

    def _most(self, vendor: str, name: str, request: ModelRequest, input_tokens: int) -> Amounts:
        model, entry = f"{vendor}:{name}", self.catalog.find(vendor, name)
        reply_tokens = _longest_reply(entry, request)
        tokens = input_tokens + (ASSUMED_REPLY_TOKENS if reply_tokens is None else reply_tokens)
        if entry is None or entry.prices is None:
            if self.allow_unpriced:
                return Amounts(0, tokens, 1)
            raise _unknown(f"what {model} costs is not known", _PRICE_HINT, tokens)
        if reply_tokens is None:
            raise _unknown(f"how long a reply of {model} may become is not known", _LENGTH_HINT, tokens)
        rates = entry.prices.rates(input_tokens)
        dearest = max(rates.dearest_input, rates.cache_write_long) if request.settings.cache == "long" else rates.dearest_input
        return Amounts(to_nano((input_tokens * dearest + reply_tokens * rates.output).scaleb(_MILLION)), tokens, 1)


def _longest_reply(entry: CatalogEntry | None, request: ModelRequest) -> int | None:
    known = None if entry is None else entry.max_output_tokens or entry.context_tokens
    return min((tokens for tokens in (request.settings.max_output_tokens, known) if tokens is not None), default=None)


def _unknown(what: str, hint: str, tokens: int) -> PriceUnknown:
    error = PriceUnknown(f"money is bounded, and {what}", hint=hint)
    error.most = Amounts(0, tokens, 1)
    return error
