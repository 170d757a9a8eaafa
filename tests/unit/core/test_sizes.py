"""How long a question is thought to be, before and after a vendor has counted one."""

from dataclasses import replace

from agent_sdk.core.events import ModelCalled, RunCreated
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.messages import Conversation, Message, TextPart, goal_message, user_message
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.sizes import Size, is_surely_within, size_of
from agent_sdk.core.tokens import corrected, tokens_of_message, tokens_of_text
from agent_sdk.core.usage import Usage
from tests.unit.core.toy import Toy

GOAL = tokens_of_message(goal_message("a goal", ()))
REPLY = Message("assistant", (TextPart("x" * 300),))
SYSTEM = "s" * 90
REST = tokens_of_text(SYSTEM)


def begun() -> Toy:
    return Toy().post(RunCreated("toy", "1", {}, goal="a goal"))


def called(toy: Toy, tokens: int) -> Toy:
    return toy.post(ModelCalled(StepId("t1"), "turn", "m", Usage(tokens, 1), "end", (), label=TRUSTED, message=REPLY))


def request(toy: Toy) -> ModelRequest:
    return ModelRequest(StepId("t2"), "m", toy.run.conversation, SYSTEM)


def test_a_question_is_estimated_as_long_as_nothing_was_counted() -> None:
    toy = begun()
    assert size_of(request(toy), toy.run) == Size(GOAL + REST, REST, None)
    assert not is_surely_within(request(toy), toy.run, 10**9)


def test_what_was_counted_is_taken_as_counted_and_corrects_the_rest() -> None:
    toy = called(begun(), 2 * (GOAL + REST))
    size = size_of(request(toy), toy.run)
    assert size.ratio == 2.0
    assert size.tokens == 2 * (GOAL + REST) + corrected(tokens_of_message(REPLY), 2.0)
    assert size.rest == corrected(REST, 2.0)


def test_a_vendor_that_counts_nothing_teaches_nothing() -> None:
    toy = called(called(begun(), -3), 0)
    assert toy.run.measured is None


def test_another_conversation_is_estimated_with_what_the_run_had_learned_before() -> None:
    toy = called(begun(), 2 * (GOAL + REST))
    toy.run.ratio = 1.5
    other = replace(request(toy), conversation=Conversation([user_message("abc")]))
    assert size_of(other, toy.run) == Size(corrected(tokens_of_message(user_message("abc")) + REST, 1.5), corrected(REST, 1.5), 1.5)


def test_a_glance_is_enough_far_below_the_cap() -> None:
    toy = called(begun(), 100)
    most = 100 + corrected(tokens_of_message(REPLY), 3.0)
    assert is_surely_within(request(toy), toy.run, most)
    assert not is_surely_within(request(toy), toy.run, most - 1)
