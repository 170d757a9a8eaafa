"""How many tokens a question about a run will have: the estimate, corrected by what the vendor counted of the run's earlier ones."""

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.run import Run
from agent_sdk.core.tokens import MOST_RATIO, corrected, ratio_of, tokens_of_message, tokens_of_schema, tokens_of_text, tokens_of_tools


@frozen
class Size:
    """A request's tokens; `rest` is what all but its messages takes, and `ratio` by how much estimates must be corrected."""

    tokens: int
    rest: int
    ratio: float | None


def size_of(request: ModelRequest, run: Run) -> Size:
    """Return the size of a request, whether it is about the run's conversation or another one, which may begin with that."""
    sums = request.conversation.sums(tokens_of_message)
    rest = tokens_of_text(request.instructions) + tokens_of_tools(request.tools) + tokens_of_schema(request.output_schema)
    measured = run.measured if request.conversation is run.conversation else None
    if measured is None:
        return Size(corrected(sums[-1] + rest, run.ratio), corrected(rest, run.ratio), run.ratio)
    ratio = ratio_of(measured.tokens, sums[measured.messages] + rest)
    return Size(measured.tokens + corrected(sums[-1] - sums[measured.messages], ratio), corrected(rest, ratio), ratio)


def is_surely_within(request: ModelRequest, run: Run, tokens: int) -> bool:
    """Say whether the request is below so many tokens by far, at a glance: what was counted of it, and thrice what came since."""
    if run.measured is None:
        return False
    sums = request.conversation.sums(tokens_of_message)
    return run.measured.tokens + corrected(sums[-1] - sums[run.measured.messages], MOST_RATIO) <= tokens
