"""The shape of a catalog's file: what may be said of models and vendors, and what a price is. What several files say is for `parse`."""

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from agent_sdk.core.model import OutputMode, Reasoning
from agent_sdk.llm.catalog.entries import Allowed, CacheKind, Rates

MAX_PRICE: Final = Decimal(1_000_000)
_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,12})?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_EXACT_DIGITS = 15  # so many significant digits come out of a float as they were written (IEEE 754, double)
_PRICE_HINT = 'write US dollars per million tokens, such as 0.25 or "0.25"'


def _wrong(message: str, hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("catalog_value", "{message}", {"message": message, "hint": hint})


def _price(value: object) -> Decimal:
    """Read an exact amount: a whole number, a decimal as text, or a number with so few digits that none was lost in reading it."""
    match value:
        case bool():
            raise _wrong("true and false are no prices", _PRICE_HINT)
        case Decimal():
            amount = value
        case int():
            amount = Decimal(value) if value <= MAX_PRICE else MAX_PRICE + 1
        case float() if math.isfinite(value):
            amount = Decimal(repr(value))
            if len(amount.as_tuple().digits) > _EXACT_DIGITS:
                raise _wrong("the price has more digits than the number can hold", f'write it as text, such as "{amount}"')
        case str() if _DECIMAL.fullmatch(value):
            amount = Decimal(value)
        case _:
            raise _wrong("this is no price", _PRICE_HINT)
    if not amount.is_finite() or not 0 <= amount <= MAX_PRICE:
        raise _wrong(f"a price is from 0 to {MAX_PRICE:,} US dollars per million tokens", _PRICE_HINT)
    if amount != amount.quantize(Decimal("1e-12")):
        raise _wrong("a price has at most 12 digits behind the point", _PRICE_HINT)
    return amount


def _day(value: object) -> object:
    is_date = isinstance(value, date) and not isinstance(value, datetime)
    if is_date or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise _wrong("this is no day", "write it as 2026-11-23")


def _unique(modes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(modes)) < len(modes):
        raise _wrong("something stands twice here")
    return modes


Price = Annotated[Decimal, PlainValidator(_price)]
Day = Annotated[date, BeforeValidator(_day)]
Tokens = Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)]
Vendor = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class RatesSpec(_Closed):
    """What is not said costs what other input costs: no discount for what is cached, and no surcharge."""

    input: Price
    output: Price
    cached: Price | None = None
    cache_write: Price | None = None
    cache_write_long: Price | None = None

    def rates(self) -> Rates:
        write = self.input if self.cache_write is None else self.cache_write
        cached = self.input if self.cached is None else self.cached
        return Rates(self.input, cached, write, write if self.cache_write_long is None else self.cache_write_long, self.output)


class LongPromptsSpec(RatesSpec):
    """Prices of requests with more input tokens than `above_tokens`."""

    above_tokens: Tokens


class LaterSpec(RatesSpec):
    """Prices that hold from a day on, for requests of any length."""

    first_day: Day = Field(alias="from")


class Traits(_Closed):
    """What may be said of a model, or of all models of a vendor."""

    as_of: Day | None = None
    context_tokens: Tokens | None = None
    max_output_tokens: Tokens | None = None
    prices: RatesSpec | None = None
    long_prompts: tuple[LongPromptsSpec, ...] = ()
    later: tuple[LaterSpec, ...] = ()
    tools: Allowed = "always"
    forced_tools: Allowed = "always"
    parallel_tools: Annotated[bool, Field(strict=True)] = True
    output_modes: Annotated[tuple[OutputMode, ...], Field(min_length=1), AfterValidator(_unique)] = ("native", "tool", "prompt")
    images: Annotated[bool, Field(strict=True)] = True
    files: Annotated[bool, Field(strict=True)] = True
    reasoning: Annotated[tuple[Reasoning, ...], AfterValidator(_unique)] = ()
    default_reasoning: Reasoning | None = None
    temperature: Allowed = "always"
    seed: Annotated[bool, Field(strict=True)] = False
    cache: CacheKind = "none"

    @property
    def said(self) -> dict[str, Any]:
        """The traits that were given; prices are given as a whole, so that no surcharge of another price list stays with them."""
        given = {name: getattr(self, name) for name in Traits.model_fields if name in self.model_fields_set}
        return {"long_prompts": (), "later": (), **given} if "prices" in given else given


class ModelSpec(Traits):
    """One model."""

    vendor: Vendor
    name: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]


class VendorSpec(Traits):
    """All models of a vendor; where it is `like` another, that one's too."""

    like: Vendor | None = None


class CatalogSpec(_Closed):
    """One file."""

    as_of: Day
    vendors: Mapping[Vendor, VendorSpec] = {}
    models: tuple[ModelSpec, ...] = ()
