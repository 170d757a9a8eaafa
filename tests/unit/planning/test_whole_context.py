"""What the question for a plan is shortened by: rejected plans, what was said in the session before, and never the goal."""

from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings as effort, strategies as st

from agent_sdk.core.agent import ContextPolicy, Limits
from agent_sdk.core.compaction import SUMMARY, is_cleared
from agent_sdk.core.errors import ContextFull, PlanError
from agent_sdk.core.events import ContextCompacted, ContextExceeded, MessageReceived, ModelCalled
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.messages import Message, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.ports import Ask, Compact
from agent_sdk.core.run import History, fold
from agent_sdk.core.sizes import size_of
from agent_sdk.core.usage import Usage
from agent_sdk.planning import PlanOnly, WholePlanner
from tests.unit.core.toy import Toy, new_run
from tests.unit.planning.planned import ask, begun, reject, reply, texts
from tests.unit.planning.workbench import agent, checker, plan_of, use

CAP = 4000
LONG = "x" * 1500
"""Five hundred tokens; the tools and the schema of a plan take some two thousand."""
GOAL = "Count the words."
NOT_SO = (Finding("cycle", "$", "a circle"),)


def planner(policy: ContextPolicy | None = None, window: int | None = None, limits: Limits | None = None) -> WholePlanner:
    policy = policy if policy is not None else ContextPolicy(max_tokens=CAP)
    return WholePlanner(replace(agent(limits=limits), context=policy), "m", window=window)


def told_before(*messages: Message) -> Toy:
    """Return a run in whose session this was said before it."""
    toy = Toy(new_run())
    toy.run.history = History(messages)
    return begun(toy)


def looked(number: int, output: str) -> list[Message]:
    """Return a turn of an earlier run: a call, what it gave and an answer."""
    identity = StepId(f"h{number}.t1.1")
    call = Message("assistant", (ToolCallPart(identity, "look", {}),))
    return [call, Message("tool", (ToolResultPart(identity, output),)), Message("assistant", (TextPart("so it is"),))]


def rejected(toy: Toy, *plans: str) -> Toy:
    for text in plans:
        reject(reply(toy, text), NOT_SO)
    return toy


def shortened(toy: Toy, whole: WholePlanner) -> ModelRequest:
    """Do what comes before the question, as often as it takes; return the question."""
    for _ in range(40):
        match whole.next(toy.run):
            case Compact(event=event):
                toy.post(event)
            case Ask(purpose="compact", request=request):
                summary = Message("assistant", (TextPart("in short"),))
                toy.post(ModelCalled(request.id, "compact", "m", Usage(9, 9), "end", (), label=TRUSTED, message=summary))
            case Ask(request=request):
                return request
            case proposal:
                raise AssertionError(f"{proposal} is no question")
    raise AssertionError("the question is made shorter without end")


def cuts(toy: Toy) -> list[ContextCompacted]:
    return [fact.event for fact in toy.facts if isinstance(fact.event, ContextCompacted)]


def test_a_question_that_fits_is_put_as_it_is() -> None:
    assert isinstance(planner().next(rejected(begun(), "no").run), Ask)


def test_older_rejected_plans_go_first_and_the_newest_stays_with_what_is_wrong_with_it() -> None:
    toy = rejected(told_before(*looked(1, LONG)), "first" + LONG, "second" + LONG, "third")
    request = shortened(toy, planner(limits=Limits(max_plan_repairs=9)))
    assert [event.drafts for event in cuts(toy)] == [2]
    assert [text[:9] for _, text in texts(request)] == ["", "", "so it is", GOAL[:9], "third", "The plan "]
    assert cuts(toy)[0].tokens_after >= size_of(request, toy.run).tokens
    assert size_of(request, toy.run).tokens <= CAP
    later = shortened(rejected(toy, LONG + "fourth" + LONG), planner(limits=Limits(max_plan_repairs=9)))
    assert [event.drafts for event in cuts(toy)][:2] == [2, 3]
    assert not any(text == "third" for _, text in texts(later))


def test_plans_that_are_not_shown_any_more_still_count_as_tries() -> None:
    whole = planner(limits=Limits(max_plan_repairs=2))
    toy = rejected(begun(), LONG * 2, LONG * 2)
    shortened(toy, whole)
    with pytest.raises(PlanError, match="no valid plan in 3 tries"):
        whole.next(rejected(toy, "no").run)


def test_outputs_of_earlier_runs_are_taken_out() -> None:
    toy = told_before(*looked(1, LONG * 3), *looked(2, "short"))
    request = shortened(toy, planner(ContextPolicy(max_tokens=CAP, keep_turns=0)))
    assert [event.cleared for event in cuts(toy)] == [("h1.t1.1",)]
    outputs = [part.output for message in request.conversation for part in message.parts if isinstance(part, ToolResultPart)]
    assert [is_cleared(output) for output in outputs] == [True, False]


def test_what_was_said_before_gives_way_to_a_summary_and_the_goal_stays() -> None:
    toy = told_before(*(user_message(f"{number} {LONG}") for number in range(5)))
    request = shortened(toy, planner())
    assert texts(request) == [("user", GOAL), ("user", f"{SUMMARY}\nin short")]
    assert [(event.summary, event.covers_history) for event in cuts(toy)] == [("in short", True)]


def test_without_summaries_what_was_said_before_is_left_out() -> None:
    toy = told_before(*(user_message(f"{number} {LONG}") for number in range(5)))
    request = shortened(toy, planner(ContextPolicy(max_tokens=CAP, summarise=False)))
    assert [text for _, text in texts(request)] == [GOAL, f"{SUMMARY}\nIt was left out to save room."]
    assert toy.run.questions == 0


def test_the_question_for_a_repair_is_shortened_like_that_for_a_plan() -> None:
    toy = told_before(*(user_message(f"{number} {LONG}") for number in range(5)))
    toy.accept(*plan_of(use("n", "guess", on_error="repair")).steps).start("n").fail("n")
    request = shortened(toy, planner())
    goal, summary, task = texts(request)
    assert (goal, summary) == (("user", GOAL), ("user", f"{SUMMARY}\nin short"))
    assert "- step n: it broke [tool_failed]" in task[1]


def test_the_words_of_the_newest_rejected_plan_go_last_and_what_is_wrong_with_it_stays() -> None:
    toy = rejected(begun(), LONG * 9)
    request = shortened(toy, planner())
    assert [event.drafts for event in cuts(toy)] == [1]
    (_, goal), (role, complaint) = texts(request)
    assert (goal, role) == (GOAL, "user")
    assert "a circle [cycle]" in complaint


def test_what_must_stay_and_does_not_fit_ends_the_run_with_the_size_of_each_part() -> None:
    toy = begun().post(MessageReceived(message=replace(user_message(LONG), is_pinned=True)))
    with pytest.raises(ContextFull) as full:
        planner(ContextPolicy(max_tokens=1000)).next(toy.run)
    said = full.value.message
    assert said.startswith("the next question has about ")
    assert " tokens and may have 1,000, and nothing of it can be left out: schema of the reply 9" in said
    assert "goal and pinned messages 5" in said
    assert "instructions 4" in said
    assert "tools " in said
    assert "other messages" not in said
    assert "ContextPolicy(max_tokens=...)" in (full.value.hint or "")


@pytest.mark.parametrize(("part", "hint"), [("tools", "fewer tools"), ("goal and pinned messages", "into a file that a tool can read")])
def test_the_largest_part_is_told_first_and_how_to_mend_it(part: str, hint: str) -> None:
    toy, whole = begun(), planner(ContextPolicy(max_tokens=1000))
    if part == "tools":
        wordy = tuple(replace(tool, description="y" * 2000) for tool in whole.agent.tools)
        whole = replace(whole, agent=replace(whole.agent, tools=wordy))
    else:
        toy.post(MessageReceived(message=replace(user_message(LONG * 9), is_pinned=True)))
    with pytest.raises(ContextFull, match=f"can be left out: {part} ") as full:
        whole.next(toy.run)
    assert hint in (full.value.hint or "")


def test_the_catalogs_window_is_a_cap_too() -> None:
    toy = told_before(*(user_message(f"{number} {LONG}") for number in range(5)))
    assert size_of(shortened(toy, planner(ContextPolicy(), window=5000)), toy.run).tokens <= 3750
    assert cuts(toy)[0].cap == 3750


def test_a_question_that_the_model_finds_too_long_is_put_again_shorter() -> None:
    toy, whole = told_before(*(user_message(f"{number} {LONG}") for number in range(5))), planner(ContextPolicy())
    before = size_of(shortened(toy, whole), toy.run).tokens
    toy.post(ContextExceeded(StepId("plan.1")))
    assert size_of(shortened(toy, whole), toy.run).tokens < 0.7 * before


def test_who_only_plans_makes_room_too() -> None:
    toy = rejected(begun(), LONG * 2, LONG * 2)
    assert isinstance(PlanOnly(planner(), checker()).next(toy.run), Compact)


def test_to_look_for_what_comes_next_changes_nothing() -> None:
    toy = rejected(told_before(*looked(1, LONG * 3)), LONG, LONG)
    for _ in range(4):
        before = deepcopy(toy.run)
        proposal = planner().next(toy.run)
        assert planner().next(toy.run) == proposal
        assert toy.run == before
        if not isinstance(proposal, Compact):
            return
        toy.post(proposal.event)


MOVES = st.lists(st.tuples(st.sampled_from(("reject", "reject", "say", "pin", "too_long")), st.integers(0, 9000)), max_size=8)


@given(moves=MOVES, history=st.lists(st.integers(0, 6000), max_size=4), cap=st.integers(2600, 9000), summarise=st.booleans())
@effort(max_examples=50, deadline=None)
def test_whatever_is_said_the_question_is_within_the_cap_or_the_run_ends(
    moves: list[tuple[str, int]], history: list[int], cap: int, *, summarise: bool
) -> None:
    before = tuple(message for place, size in enumerate(history) for message in looked(place, "漢" * (size // 3)))
    toy, pins = told_before(*before), [GOAL]
    whole = planner(ContextPolicy(max_tokens=cap, summarise=summarise), limits=Limits(max_plan_repairs=99))
    for kind, size in moves:
        match kind:
            case "reject":
                rejected(toy, "p" * size)
            case "too_long":
                toy.post(ContextExceeded(StepId("plan")))
            case _:
                message = replace(user_message("s" * (size // 9)), is_pinned=True if kind == "pin" else None)
                pins += [message.text] if message.is_pinned else []
                toy.post(MessageReceived(message=message))
        try:
            request = shortened(toy, whole)
        except ContextFull:
            return
        assert size_of(request, toy.run).tokens <= cap
        assert [message.text for message in request.conversation if message.is_pinned] == pins
        again = new_run()
        again.history = toy.run.history
        fold(again, toy.facts)
        assert (again.conversation, again.drafts) == (toy.run.conversation, toy.run.drafts)
        assert ask(whole, toy) == request
