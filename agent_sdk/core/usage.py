"""What model calls consumed: tries, tokens, and money where the price is known."""

from decimal import Decimal

from agent_sdk.core.frozen import frozen


@frozen
class Usage:
    """Tokens as the vendor counted them; cached (read and written) and reasoning tokens are parts of the input and output counts.

    `cost_usd` is None where no price is known; a sum with an unknown part is unknown.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal | None = None
    cache_write_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        cost = None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            cost,
            self.cache_write_tokens + other.cache_write_tokens,
        )


NO_USAGE = Usage(cost_usd=Decimal(0))


@frozen
class Attempt:
    """One try of a model call: `code` is None where it succeeded, else the error's code.

    `model` is the model that was tried, where it is not the one that was asked for; `usage` what a failed try is known to have used.
    """

    duration_us: int
    code: str | None = None
    model: str | None = None
    usage: Usage | None = None
