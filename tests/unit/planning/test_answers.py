from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, TypeAdapter

from agent_sdk.planning import AnswerType


class Line(BaseModel):
    name: str
    days: list[date]


def test_every_place_that_does_not_fit_is_named() -> None:
    found = AnswerType(TypeAdapter(list[Line])).findings([{"name": "a", "days": ["2024-01-31", "soon"]}, {"days": []}])
    assert [(each.code, each.path) for each in found] == [("answer_type", "$[0].days[1]"), ("answer_type", "$[1].name")]
    assert found[0].found == "'soon'"


def test_an_answer_of_the_type_has_no_findings() -> None:
    assert AnswerType(TypeAdapter(list[Line])).findings([{"name": "a", "days": ["2024-01-31"]}]) == ()


def test_a_validator_that_breaks_is_a_finding_and_not_the_end_of_the_run() -> None:
    def broken(_: object) -> object:
        raise KeyError("rate")

    found = AnswerType(TypeAdapter(Annotated[int, BeforeValidator(broken)])).findings(1)
    assert [(each.code, each.path, each.message) for each in found] == [
        ("answer_check_failed", "$", "the answer's own validator failed: KeyError: 'rate'")
    ]
