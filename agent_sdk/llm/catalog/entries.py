"""What is known of a model before it is asked: limits, capabilities and prices; and the catalog that finds it by vendor and name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import date
from decimal import Decimal
from typing import Literal

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import OutputMode, Reasoning

Allowed = Literal["always", "unreasoned", "never"]
"""Whether a model takes something; `unreasoned`: only where it does not reason."""
CacheKind = Literal["automatic", "asked", "none"]
"""How what questions have in common is kept: by the vendor of itself, where it is asked to, or not at all."""

_SNAPSHOT = re.compile(r"(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2}|-\d{3}|-preview-\d{2}-(?:\d{2}|\d{4}))\Z")


@frozen
class Rates:
    """Prices in US dollars per million tokens, of input that is new, read from the cache or written to it (for an hour: `long`)."""

    input: Decimal
    cached: Decimal
    cache_write: Decimal
    cache_write_long: Decimal
    output: Decimal

    @property
    def dearest_input(self) -> Decimal:
        """The most that a token of input may cost where nothing is kept for an hour."""
        return max(self.input, self.cached, self.cache_write)


@frozen
class Prices:
    """Rates by the length of the request: those of the last step that its input tokens, cached ones included, are above."""

    base: Rates
    long_prompts: tuple[tuple[int, Rates], ...] = ()

    def rates(self, input_tokens: int) -> Rates:
        """Return what all tokens of such a request cost."""
        found = self.base
        for above_tokens, rates in self.long_prompts:
            if input_tokens > above_tokens:
                found = rates
        return found


@frozen
class Capabilities:
    """What a model takes. `reasoning` are the efforts that may be asked of it, `output_modes` its ways to JSON of a schema, the best first.

    `default_reasoning` is what it does unasked, None where that is not known. `parallel_tools`: it asks for several calls at once.
    """

    tools: Allowed = "always"
    forced_tools: Allowed = "always"
    parallel_tools: bool = True
    output_modes: tuple[OutputMode, ...] = ("native", "tool", "prompt")
    images: bool = True
    files: bool = True
    reasoning: tuple[Reasoning, ...] = ()
    default_reasoning: Reasoning | None = None
    temperature: Allowed = "always"
    seed: bool = False
    cache: CacheKind = "none"


@frozen
class CatalogEntry:
    """One model as of a day. `context_tokens` holds request and reply; None, as of the others, where it is not known.

    `origins` has where each fact was said. What is in `assumed` nobody said: it is thought to be possible, so that the vendor decides.
    """

    vendor: str
    name: str
    as_of: date | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    prices: Prices | None = None
    capabilities: Capabilities = Capabilities()
    origins: Mapping[str, str] = field(default_factory=dict[str, str], compare=False, repr=False)
    assumed: frozenset[str] = frozenset()

    @property
    def full_name(self) -> str:
        return f"{self.vendor}:{self.name}"


def base_name(name: str) -> str:
    """Return the name of the model that a dated one is a snapshot of; of others the name itself."""
    return _SNAPSHOT.sub("", name)


@frozen
class Catalog:
    """The models that are known, each under its vendor and name, as of a day."""

    as_of: date
    entries: Mapping[tuple[str, str], CatalogEntry] = field(repr=False)

    def find(self, vendor: str, name: str) -> CatalogEntry | None:
        """Return the model of that name, or the one that the name is a dated snapshot of; None where none is known."""
        return self.entries.get((vendor, name)) or self.entries.get((vendor, base_name(name)))

    def of_vendor(self, vendor: str | None = None) -> Iterator[CatalogEntry]:
        """Yield the vendor's models, or all, in the catalog's order."""
        return (entry for entry in self.entries.values() if vendor is None or entry.vendor == vendor)
