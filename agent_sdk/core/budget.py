"""What model calls may cost and did cost, in the ledger's whole numbers; and the scopes whose budgets a run spends from."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Literal, Protocol, cast

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, SessionId
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.usage import Usage

NANO = 10**9
"""The ledger counts money in billionths of a US dollar."""

Unit = Literal["usd", "tokens", "calls"]
UNITS: tuple[Unit, ...] = ("usd", "tokens", "calls")
RUN_SCOPE = "run/"
TENANT_SCOPE = "tenant"
"""The scope of all that a tenant's runs spend."""


@frozen
class Amounts:
    """An amount in each of the ledger's units: money in 1e-9 US dollars, tokens in and out together, and model calls."""

    usd_nano: int = 0
    tokens: int = 0
    calls: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(self.usd_nano + other.usd_nano, self.tokens + other.tokens, self.calls + other.calls)

    def __sub__(self, other: "Amounts") -> "Amounts":
        return Amounts(self.usd_nano - other.usd_nano, self.tokens - other.tokens, self.calls - other.calls)

    def __mul__(self, times: int) -> "Amounts":
        return Amounts(self.usd_nano * times, self.tokens * times, self.calls * times)

    def __str__(self) -> str:
        return f"${to_usd(self.usd_nano):f}, {self.tokens} tokens, {self.calls} calls"

    def at_least(self, other: "Amounts") -> "Amounts":
        """Return the larger amount of the two in each unit."""
        return Amounts(max(self.usd_nano, other.usd_nano), max(self.tokens, other.tokens), max(self.calls, other.calls))

    def at_most(self, other: "Amounts") -> "Amounts":
        """Return the smaller amount of the two in each unit."""
        return Amounts(min(self.usd_nano, other.usd_nano), min(self.tokens, other.tokens), min(self.calls, other.calls))

    def in_unit(self, unit: Unit) -> int:
        """Return the amount in one unit."""
        return {"usd": self.usd_nano, "tokens": self.tokens, "calls": self.calls}[unit]

    def with_unit(self, unit: Unit, amount: int) -> "Amounts":
        """Return the amounts with another one in one unit."""
        usd_nano, tokens, calls = (amount if each == unit else self.in_unit(each) for each in UNITS)
        return Amounts(usd_nano, tokens, calls)

    def covers(self, other: "Amounts") -> bool:
        """Say whether `other` is within this in every unit."""
        return self.usd_nano >= other.usd_nano and self.tokens >= other.tokens and self.calls >= other.calls

    @classmethod
    def of(cls, usage: Usage) -> "Amounts":
        """Return what one answered call used; a cost that is not known counts as nothing."""
        cost = usage.cost_usd if usage.cost_usd is not None else Decimal(0)
        return cls(_bounded(to_nano(cost)), _bounded(usage.input_tokens + usage.output_tokens), 1)


NOTHING = Amounts()


@frozen
class Budget:
    """How much may be spent in one scope, all that stands below it included; None means no limit.

    Raises:
        ConfigError: an amount is negative, tokens or calls are no whole number, or money is a float, which cannot say cents exactly.
    """

    usd: Decimal | None = None
    tokens: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        given = cast("object", self.usd)
        if given is not None and not (isinstance(given, Decimal) and given.is_finite()):
            raise ConfigError(f"a budget of {given!r} US dollars is not exact", hint='write Budget(usd=Decimal("0.50"))')
        for unit, count in (("tokens", cast("object", self.tokens)), ("calls", cast("object", self.calls))):
            if count is not None and (not isinstance(count, int) or isinstance(count, bool)):
                raise ConfigError(f"a budget of {count!r} {unit} is no whole number", hint=f"write Budget({unit}=1000)")
        for unit, amount in (("usd", self.usd), ("tokens", self.tokens), ("calls", self.calls)):
            if amount is not None and amount < 0:
                raise ConfigError(f"a budget cannot be negative: {unit} is {amount}")

    @property
    def limits(self) -> tuple[tuple[Unit, int | None], ...]:
        """The limit in each of the ledger's units."""
        return ("usd", None if self.usd is None else to_nano(self.usd)), ("tokens", self.tokens), ("calls", self.calls)


NO_BUDGET = Budget()


@frozen
class Shortfall:
    """What keeps a run from its next model call: a budget that is too small, or spent; or a price that nobody knows.

    Amounts are in the unit of the ledger's row `row`, which is `{scope}:{unit}`.
    """

    code: Literal["budget_exceeded", "price_unknown"]
    message: str
    row: str = ""
    needed: int = 0
    limit: int = 0
    reserved: int = 0
    settled: int = 0

    @property
    def is_passing(self) -> bool:
        """Whether there will be enough once others settle what they reserved and did not spend."""
        return self.code == "budget_exceeded" and self.settled + self.needed <= self.limit

    @property
    def unit(self) -> Unit:
        """The unit of the amounts; calls where there is no row."""
        for unit in UNITS:
            if self.row.endswith(f":{unit}"):
                return unit
        return "calls"

    def in_words(self) -> "Shortfall":
        """Return the same with a message that says how full the budget is, in the units that people think in."""
        scope, unit = self.row.rpartition(":")[0], self.unit

        def shown(amount: int) -> str:
            return f"${to_usd(amount):.4f}" if unit == "usd" else f"{amount:,} {unit}"

        message = (
            f"the budget of {scope} is {shown(self.limit)}, of which {shown(self.settled)} are spent and {shown(self.reserved)} "
            f"reserved for calls under way; the next model call may need {shown(self.needed)}"
        )
        return replace(self, message=message)


@dataclass(slots=True)
class Purse:
    """What one run holds of the budgets of its scopes: reserved and not settled, and how much of that is spent.

    Facts that were copied from another run (epoch 0) are that one's expense.
    """

    scopes: tuple[str, ...] = ()
    held: Amounts = NOTHING
    spent: Amounts = NOTHING
    refusals: int = 0

    def reserve(self, amounts: Amounts) -> None:
        """Take a slice that the budgets granted."""
        self.held += amounts
        self.refusals = 0

    def spend(self, usage: Usage, *, calls: int) -> None:
        """Count what model calls used."""
        if self.scopes:
            used = Amounts.of(usage)
            self.spent += Amounts(used.usd_nano, used.tokens, calls)

    def settle(self) -> None:
        """Let go of all: it was settled."""
        self.held = self.spent = NOTHING


class PriceUnknown(ConfigError):
    """Money is bounded, and what the model costs is not known; `most` is what is known of the call, without the money."""

    code = "price_unknown"
    most: Amounts = NOTHING


class Meter(Protocol):
    """Knows beforehand what a model call may cost."""

    def most(self, request: ModelRequest, input_tokens: int) -> Amounts:
        """Return the most that the call can come to, whichever of the models behind it answers.

        `input_tokens` is how many tokens the request is thought to have.

        Raises:
            PriceUnknown: no price of one of these models is known.
        """
        ...

    def window(self, model: str) -> int | None:
        """Return how many tokens the model's context holds, the reply included; None where that is not known."""
        ...


class NoMeter:
    """Knows no price and no window."""

    def most(self, request: ModelRequest, input_tokens: int) -> Amounts:
        unknown = PriceUnknown(f"no price of {request.model} is known", hint="give the catalog one, or bound tokens and calls alone")
        unknown.most = Amounts(0, input_tokens + (request.settings.max_output_tokens or 0), 1)
        raise unknown

    def window(self, model: str) -> int | None:
        return None


def session_scope(session: SessionId) -> str:
    """Return the scope of all that a session's runs spend."""
    return f"session/{session}"


def run_scope(run_id: RunId) -> str:
    """Return the scope of all that a run and its children spend."""
    return f"{RUN_SCOPE}{run_id}"


def ledger_rows(scopes: Iterable[str]) -> list[tuple[str, Unit]]:
    """Return the ledger's rows of these scopes, each with its unit."""
    return [(row_name(scope, unit), unit) for scope in scopes for unit in UNITS]


def row_name(scope: str, unit: Unit) -> str:
    """Return the name of a scope's row in the ledger."""
    return f"{scope}:{unit}"


def _bounded(amount: int) -> int:
    """Return an amount that no ledger chokes on: what nobody can have used counts as the most that one call can."""
    return min(max(amount, 0), 2**53)


def to_nano(usd: Decimal) -> int:
    """Return the amount in the ledger's unit, rounded up."""
    return int((usd * NANO).to_integral_value(ROUND_CEILING))


def to_usd(nano: int) -> Decimal:
    """Return the ledger's amount in US dollars."""
    return Decimal(nano) / NANO
