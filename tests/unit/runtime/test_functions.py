"""The functions that an agent's author writes: how they can be called, and what they are called."""

from collections.abc import Callable
from functools import partial

import pytest

from agent_sdk import RunInfo
from agent_sdk.runtime.functions import name_of, needs_info, takes


def judge(answer: str, info: RunInfo) -> str | None:
    return None if info.agent in answer else "say who you are"


class Judge:
    def __call__(self, answer: str) -> str | None:
        return answer


def any_number(*given: str) -> str:
    return str(given)


SHAPES: dict[str, tuple[Callable[..., object], set[int]]] = {
    "function": (judge, {2}),
    "object": (Judge(), {1}),
    "partial": (partial(judge, "me"), {1}),
    "any number": (any_number, {0, 1, 2, 3}),
    "in C, and silent": (max, {0, 1, 2, 3}),
}


@pytest.mark.parametrize(("function", "counts"), SHAPES.values(), ids=SHAPES)
def test_a_function_shows_with_how_many_arguments_it_can_be_called(function: Callable[..., object], counts: set[int]) -> None:
    assert {count for count in range(4) if takes(function, count)} == counts


def test_a_validator_gets_the_run_only_where_it_needs_it() -> None:
    def bounded(answer: str, limit: int = 5) -> str | None:
        return None if len(answer) < limit else "too long"

    assert needs_info(judge)
    assert not needs_info(bounded)


def test_a_function_is_named_by_its_place_and_an_object_by_its_class() -> None:
    assert name_of(judge) == f"{__name__}.judge"
    assert name_of(Judge()) == f"{__name__}.Judge"
