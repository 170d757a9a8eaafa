"""Runs as the terminal gets them: folds of a few facts."""

from agent_sdk.core.events import Event, Fact, PlanAccepted, RunClaimed, RunCreated, StepShape, StepStarted
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId, RunId, StepId
from agent_sdk.core.run import Run, fold

RUN = RunId("run_1m84khbxwqs1ggqn7nwgna4m")
SECOND = 1_000_000
CREATED = RunCreated("analyst", "2", {}, "count the pens", tags=("shop",), model="openai:gpt-5-mini", strategy="plan")
FIND, PRICES, SUM = StepId("find"), StepId("prices"), StepId("sum")
PLANNED = PlanAccepted(
    "digest",
    (StepShape(FIND, tool="search"), StepShape(PRICES, (FIND,), tool="price", each=True), StepShape(SUM, (PRICES,), tool="total")),
)


def facts_of(*events: Event) -> list[Fact]:
    """Number the events behind those that create, claim and plan a run; each comes a second after the one before."""
    whole: list[Event] = [CREATED, RunClaimed(OwnerId("own_1")), PLANNED, *events]
    return [Fact(number, 1, number * SECOND, event) for number, event in enumerate(whole, 1)]


def run_of(*events: Event) -> Run:
    return fold(Run(DEFAULT_TENANT, RUN), facts_of(*events))


def started(step: str, *, items: int | None = None, attempt: int = 1) -> StepStarted:
    return StepStarted(StepId(step), attempt, items=items)
