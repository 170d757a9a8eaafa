"""What a conversation is shortened by, when, and what never gives way."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings as effort, strategies as st

from agent_sdk.core.agent import AgentSpec, ContextPolicy
from agent_sdk.core.compaction import SUMMARY, is_cleared
from agent_sdk.core.errors import ContextFull
from agent_sdk.core.events import (
    CallMark,
    ContextCompacted,
    ContextExceeded,
    MessageReceived,
    ModelCalled,
    RunClaimed,
    RunCreated,
    StepFinished,
    StepStarted,
)
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.messages import FilePart, Message, Part, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.ports import Answer, Ask, Compact
from agent_sdk.core.run import History, fold
from agent_sdk.core.sizes import size_of
from agent_sdk.core.usage import Usage
from agent_sdk.planning.context import ContextKeeper
from agent_sdk.planning.loop import LoopPlanner
from tests.unit.core.toy import OWNER, Toy, new_run

CAP = 2000
LONG = "x" * 600
"""Two hundred tokens."""
TIGHT = ContextPolicy(max_tokens=CAP)


def begun(goal: str = "a goal", history: History | None = None) -> Toy:
    toy = Toy(new_run())
    toy.run.history = history if history is not None else toy.run.history
    return toy.post(RunCreated("toy", "1", {}, goal=goal), RunClaimed(OWNER))


def turn(toy: Toy, *outputs: str, text: str = "", tokens: int = 0) -> Toy:
    """Post a turn with a call for each output; the vendor counted `tokens` of its question."""
    number = toy.run.turn + 1
    ids = [StepId(f"t{number}.{n}") for n in range(1, len(outputs) + 1)]
    parts: tuple[Part, ...] = (*([TextPart(text)] if text else []), *(ToolCallPart(identity, "look", {"n": number}) for identity in ids))
    marks = tuple(CallMark(identity, "look", f"{number}") for identity in ids)
    usage = Usage(tokens, 1)
    toy.post(ModelCalled(StepId(f"t{number}"), "turn", "m", usage, "end", (), marks, TRUSTED, message=Message("assistant", parts)))
    for identity, output in zip(ids, outputs, strict=True):
        toy.post(StepStarted(identity), StepFinished(identity, 1, 1, TRUSTED, output))
    return toy


def next_of(toy: Toy, policy: ContextPolicy = TIGHT, window: int | None = None, settings: ModelSettings | None = None) -> Ask | Compact:
    settings = settings if settings is not None else ModelSettings()
    proposal = LoopPlanner(AgentSpec("a", model="m", context=policy), "m", settings, window).next(toy.run)
    assert not isinstance(proposal, Answer)
    return proposal


def is_asked(toy: Toy, policy: ContextPolicy = TIGHT, window: int | None = None) -> bool:
    proposal = next_of(toy, policy, window)
    return isinstance(proposal, Ask) and proposal.purpose == "turn"


def summed_up(toy: Toy, text: str = "in short") -> Toy:
    """Have the model write the summary that is asked for."""
    proposal = next_of(toy)
    assert isinstance(proposal, Ask)
    assert proposal.purpose == "compact"
    message = Message("assistant", (TextPart(text),))
    toy.post(ModelCalled(proposal.request.id, "compact", "m", Usage(9, 9), "end", (), label=TRUSTED, message=message))
    return compacted(toy)


def compacted(toy: Toy, policy: ContextPolicy = TIGHT) -> Toy:
    proposal = next_of(toy, policy)
    assert isinstance(proposal, Compact)
    return toy.post(proposal.event)


def told(toy: Toy) -> list[str]:
    return [message.text or message.role for message in toy.run.conversation]


def question(toy: Toy) -> ModelRequest:
    return ModelRequest(StepId("t9"), "m", toy.run.conversation)


def tokens_of(toy: Toy) -> int:
    return size_of(question(toy), toy.run).tokens


def test_a_short_conversation_is_sent_as_it_is() -> None:
    assert is_asked(turn(begun(), LONG))
    assert is_asked(turn(begun(), LONG, tokens=200)), "by what was counted, too"


def test_without_a_cap_a_conversation_may_be_as_long_as_it_is() -> None:
    assert is_asked(turn(begun(), LONG * 1000), ContextPolicy())


@pytest.mark.parametrize(
    ("window", "settings", "is_short_enough"),
    [
        (4000, ModelSettings(), True),
        (3000, ModelSettings(), False),
        (3000, ModelSettings(max_output_tokens=100), True),
        (4000, ModelSettings(max_output_tokens=100_000), False),
    ],
)
def test_the_models_window_has_room_for_its_reply(window: int, settings: ModelSettings, *, is_short_enough: bool) -> None:
    toy = turn(begun(), LONG * 10)
    proposal = next_of(toy, ContextPolicy(compact_at=0.9), window, settings)
    assert (isinstance(proposal, Ask) and proposal.purpose == "turn") == is_short_enough


def test_the_outputs_of_older_turns_go_first() -> None:
    toy = begun()
    for _ in range(4):
        turn(toy, LONG, LONG)
    turn(toy, "short", "short")
    compacted(toy, replace(TIGHT, keep_turns=2))
    results = [part.output for message in toy.run.conversation for part in message.parts if isinstance(part, ToolResultPart)]
    assert [is_cleared(result) for result in results[:6]] == [True] * 6
    assert results[6:] == [LONG] * 2 + ["short"] * 2
    assert isinstance(toy.facts[-1].event, ContextCompacted)
    assert toy.facts[-1].event.tokens_after >= tokens_of(toy), "rather too much than too little is said to be left"
    assert is_asked(toy)


@pytest.mark.parametrize("keep_turns", [0, 9])
def test_outputs_of_the_last_turns_may_go_too_where_none_are_kept(keep_turns: int) -> None:
    policy = replace(TIGHT, keep_turns=keep_turns, summarise=False)
    toy = compacted(turn(begun(), LONG * 8), policy)
    left_out = f"{SUMMARY}\nIt was left out to save room."
    assert told(toy) == (["a goal", left_out] if keep_turns else ["a goal", "assistant", "tool"])
    assert is_asked(toy, policy)


def test_an_output_is_cleared_where_a_vendor_counts_far_more_than_is_thought() -> None:
    toy = compacted(turn(turn(begun(), LONG[:180]), "short", tokens=1900))
    assert told(toy) == ["a goal", "assistant", "tool", "assistant", "tool"]
    assert toy.run.ratio == 3.0
    assert is_asked(toy)


def test_outputs_stay_where_they_shall_and_older_messages_give_way() -> None:
    policy = replace(TIGHT, clear_outputs=False, summarise=False)
    toy = begun()
    for _ in range(8):
        turn(toy, LONG)
    compacted(toy, policy)
    assert told(toy)[:2] == ["a goal", f"{SUMMARY}\nIt was left out to save room."]
    assert not any(
        is_cleared(part.output) for message in toy.run.conversation for part in message.parts if isinstance(part, ToolResultPart)
    )
    assert is_asked(toy, policy)


def test_a_summary_is_asked_for_with_what_it_is_about_and_nothing_else() -> None:
    toy = begun()
    for number in range(20):
        turn(toy, f"found {number}", text=f"I look: {'y' * 300}")
    proposal = next_of(toy, settings=ModelSettings(max_output_tokens=9, force_tool="look", reasoning="high", temperature=0.5))
    assert isinstance(proposal, Ask)
    request = proposal.request
    assert (request.id, request.tools, request.instructions, proposal.purpose) == ("summary.21", (), "", "compact")
    assert request.settings == ModelSettings(max_output_tokens=CAP // 8, temperature=0.5)
    (message,) = request.conversation
    assert "at most 250 tokens" in message.text
    assert "called look({'n': 1})" in message.text
    assert "result: found 0" in message.text
    assert "a goal" not in message.text, "what stays need not be summed up"
    assert "found 19" not in message.text


def test_a_model_that_thinks_has_room_for_its_thoughts_beside_the_summary() -> None:
    toy = begun()
    for number in range(20):
        turn(toy, f"found {number}", text=f"I look: {'y' * 300}")
    said = Message("assistant", (TextPart("hm"),))
    toy.post(ModelCalled(StepId("t21"), "turn", "m", Usage(1900, 9, reasoning_tokens=8), "end", (), label=TRUSTED, message=said))
    proposal = next_of(toy.post(MessageReceived(message=user_message("go on"))))
    assert isinstance(proposal, Ask)
    assert proposal.request.settings.max_output_tokens == CAP // 8 * 4
    assert "at most 250 tokens" in proposal.request.conversation.messages[0].text


def test_a_summary_takes_the_place_of_what_it_sums_up() -> None:
    toy = begun()
    for number in range(20):
        turn(toy, f"found {number}", text=f"I look: {'y' * 300}")
    summed_up(toy)
    assert told(toy)[:2] == ["a goal", f"{SUMMARY}\nin short"]
    assert told(toy)[-1] == "tool"
    event = toy.facts[-1].event
    assert isinstance(event, ContextCompacted)
    assert (event.step, event.summary, event.covers_history) == ("summary.21", "in short", False)
    assert event.tokens_after == tokens_of(toy)
    assert is_asked(toy)


def test_a_message_that_comes_behind_the_summary_stays() -> None:
    toy = turn(begun(), text="y" * 6000)
    toy.post(MessageReceived(message=user_message("and then?")))
    proposal = next_of(toy)
    assert isinstance(proposal, Ask)
    reply = Message("assistant", (TextPart("in short"),))
    toy.post(ModelCalled(proposal.request.id, "compact", "m", Usage(9, 9), "end", (), label=TRUSTED, message=reply))
    toy.post(MessageReceived(message=user_message("hello?")))
    compacted(toy)
    assert told(toy) == ["a goal", f"{SUMMARY}\nin short", "and then?", "hello?"]


def test_a_small_context_has_no_room_to_ask_for_a_summary() -> None:
    policy = ContextPolicy(max_tokens=256)
    toy = compacted(turn(begun(), text="y" * 900).post(MessageReceived(message=user_message("go on"))), policy)
    assert told(toy) == ["a goal", f"{SUMMARY}\nIt was left out to save room.", "go on"]


def test_history_gives_way_first_and_is_covered_once_all_of_it_has() -> None:
    history = History(tuple(user_message(f"{number} {'y' * 300}") for number in range(20)))
    toy = summed_up(begun(history=history))
    first = toy.facts[-1].event
    assert isinstance(first, ContextCompacted)
    assert not first.covers_history
    assert told(toy)[-1] == "a goal"
    for _ in range(10):
        turn(toy, text="z" * 300)
        toy.post(MessageReceived(message=user_message("go on")))
    summed_up(toy, "all in short")
    last = toy.facts[-1].event
    assert isinstance(last, ContextCompacted)
    assert last.covers_history
    assert told(toy)[:2] == ["a goal", f"{SUMMARY}\nall in short"]


def test_a_goal_that_does_not_fit_ends_the_run() -> None:
    with pytest.raises(ContextFull, match="has about 2,0") as full:
        next_of(begun("x" * 6000))
    assert full.value.hint is not None


def test_a_conversation_that_cannot_be_shorter_is_sent_while_it_fits() -> None:
    toy = turn(begun("x" * 5100), text="no").post(MessageReceived(message=user_message("go on")))
    toy = summed_up(toy)
    assert told(toy)[1:] == [f"{SUMMARY}\nin short"]
    assert CAP * TIGHT.compact_at < tokens_of(toy) <= CAP
    assert is_asked(toy), "and no summary of the summary is asked for"


def test_a_summary_that_is_too_long_is_cut_rather_than_summed_up_again() -> None:
    toy = turn(begun(), text="y" * 6000).post(MessageReceived(message=user_message("go on")))
    summed_up(toy, f"first {'z' * 9000} last")
    event = toy.facts[-1].event
    assert isinstance(event, ContextCompacted)
    assert event.summary is not None
    assert event.summary.startswith("first z")
    assert event.summary.endswith("z last")
    assert event.tokens_after < CAP / 2 < event.tokens_before
    assert is_asked(toy)


def test_a_summary_of_the_length_that_was_asked_for_is_kept_to_the_last_letter() -> None:
    toy = turn(begun(), text="y" * 6000).post(MessageReceived(message=user_message("go on")))
    said = "All is well. " * (CAP // 8 * 9 // 2 // 13)  # of English a token takes four and a half letters
    assert told(summed_up(toy, said))[1] == f"{SUMMARY}\n{said}"


def test_what_the_model_finds_too_long_is_made_shorter_whatever_was_thought_of_it() -> None:
    toy = begun()
    for _ in range(6):
        turn(toy, LONG)
    assert is_asked(toy, ContextPolicy())
    toy.post(ContextExceeded(StepId("t7")))
    before, policy = tokens_of(toy), ContextPolicy(keep_turns=1)
    compacted(toy, policy)
    assert tokens_of(toy) < 0.7 * before
    assert is_asked(toy, policy)


def test_what_the_model_always_finds_too_long_ends_the_run() -> None:
    policy, toy = ContextPolicy(summarise=False), turn(begun(), LONG)
    compacted(toy.post(ContextExceeded(StepId("t2"))), policy)
    toy.post(ContextExceeded(StepId("t2")))
    with pytest.raises(ContextFull):
        next_of(toy, policy)


def test_files_are_left_out_of_what_is_summed_up() -> None:
    picture = Message("user", (FilePart("data:image/png;base64," + "A" * 90_000, "image/png"), TextPart("Look at this.")))
    toy = begun().post(MessageReceived(message=picture))
    turn(toy, LONG)
    proposal = next_of(toy)
    assert isinstance(proposal, Ask)
    assert proposal.purpose == "compact"
    (message,) = proposal.request.conversation
    assert "user: Look at this." in message.text
    assert "AAAA" not in message.text
    assert message.parts == (TextPart(message.text),)


TEXTS = st.one_of(st.text(max_size=40), st.integers(0, 3000).map("漢".__mul__), st.integers(0, 6000).map("z".__mul__))
MOVES = st.lists(
    st.tuples(st.sampled_from(("turn", "turn", "turn", "message", "pin", "too_long")), st.lists(TEXTS, max_size=3), st.integers(0, 4000)),
    max_size=12,
)
POLICIES = st.builds(
    ContextPolicy,
    max_tokens=st.integers(256, 6000),
    compact_at=st.floats(0.6, 1),
    compact_to=st.floats(0.1, 0.59),
    keep_turns=st.integers(0, 4),
    clear_outputs=st.booleans(),
    summarise=st.booleans(),
)
HISTORIES = st.lists(TEXTS, max_size=4).map(lambda texts: History(tuple(map(user_message, texts))))


DENSE = ContextPolicy(max_tokens=378, compact_at=1.0, compact_to=0.5, keep_turns=0, clear_outputs=False, summarise=True)


@example([("turn", [], 243), ("turn", [""], 0), ("turn", ["漢" * 398], 30)], DENSE, History(()), 0)
@given(MOVES, POLICIES, HISTORIES, st.integers(0, 40))
@effort(max_examples=150, deadline=None)
def test_whatever_is_said_what_is_sent_is_whole_and_within_the_cap(
    moves: list[tuple[str, list[str], int]], policy: ContextPolicy, history: History, instructions: int
) -> None:
    toy = begun(history=history)
    planner = LoopPlanner(AgentSpec("a", model="m", instructions="s" * instructions, context=policy), "m")
    pins = ["a goal"]
    for kind, texts, tokens in moves:
        match kind:
            case "message" | "pin":
                message = Message("user", (TextPart("".join(texts)[:300]),), is_pinned=True if kind == "pin" else None)
                pins += [message.text] if message.is_pinned else []
                toy.post(MessageReceived(message=message))
            case "too_long":
                toy.post(ContextExceeded(StepId("t")))
            case _:
                turn(toy, *texts, tokens=tokens)
                if not texts:
                    toy.post(MessageReceived(message=user_message("go on")))
        try:
            fit(toy, planner, policy)
        except ContextFull:
            return
        messages = toy.run.conversation.messages
        assert [message.text for message in messages if message.is_pinned] == pins
        for place, message in enumerate(messages):
            if message.tool_calls:
                answer = messages[place + 1]
                assert answer.role == "tool"
                assert [part.id for part in answer.parts if isinstance(part, ToolResultPart)] == [call.id for call in message.tool_calls]
            elif message.role == "tool":
                assert messages[place - 1].tool_calls
        run = new_run()
        run.history = history
        again = fold(run, toy.facts)
        assert again.conversation == toy.run.conversation
        assert (again.before, again.ratio, again.measured) == (toy.run.before, toy.run.ratio, toy.run.measured)


def fit(toy: Toy, planner: LoopPlanner, policy: ContextPolicy) -> None:
    """Do what comes before the question, as often as it takes, and check the question."""
    cap = policy.max_tokens or 0
    for _ in range(2 * len(toy.run.conversation) + 3):
        proposal = planner.next(toy.run)
        match proposal:
            case Compact(event=event):
                toy.post(event)
            case Ask(purpose="compact", request=request):
                assert size_of(request, toy.run).tokens <= cap
                summary = Message("assistant", (TextPart("s" * 3 * int((request.settings.max_output_tokens or 0) / 3.2)),))
                toy.post(ModelCalled(request.id, "compact", "m", Usage(9, 9), "end", (), label=TRUSTED, message=summary))
            case Ask(request=request):
                assert size_of(request, toy.run).tokens <= cap
                return
            case Answer():
                raise AssertionError("nothing was answered")
    raise AssertionError("the conversation is made shorter without end")


def test_a_keeper_has_nothing_to_do_where_nothing_is_bounded() -> None:
    toy = begun()
    assert ContextKeeper(ContextPolicy()).shortened(toy.run, question(toy)) is None
