from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent_sdk.core.findings import Finding
from agent_sdk.tools.validation import MAX_FINDINGS, findings_of, json_path, render_value


class Cat(BaseModel):
    lives: int


class Dog(BaseModel):
    bark: str
    tricks: list[int] = []


def found(kind: Any, value: object) -> list[Finding]:  # noqa: ANN401  (any annotation)
    adapter: TypeAdapter[object] = TypeAdapter(kind)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value, strict=True)
    return findings_of(caught.value, value, "bad", lambda _: None)


def test_json_path_quotes_what_is_no_name() -> None:
    assert json_path(["a", 0, "odd key", "_b1", "1"]) == '$.a[0]["odd key"]._b1["1"]'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ("x" * 100, '"' + "x" * 60 + '"... (100 characters)'),
        (1.5, "1.5"),
        (None, "null"),
        ({"a": 1}, "an object of 1"),
        ([1, 2], "a list of 2"),
        (b"x", "bytes"),
    ],
)
def test_values_are_shown_in_a_few_words(value: object, text: str) -> None:
    assert render_value(value) == text


def test_a_place_is_exact_inside_lists_and_objects() -> None:
    assert found(dict[str, list[int]], {"a b": [1, "2"]}) == [
        Finding("bad", '$["a b"][1]', "it does not fit", None, "a valid integer", '"2"')
    ]


def test_members_of_a_union_speak_of_one_place_together() -> None:
    assert found(list[int | bool | None], [1, "2"]) == [
        Finding("bad", "$[1]", "it does not fit", None, "a valid integer or a valid boolean", '"2"')
    ]


def test_what_two_members_of_a_union_both_say_is_said_once() -> None:
    class Cow(BaseModel):
        lives: int

    assert found(Cat | Cow, {}) == [Finding("bad", "$.lives", "it is missing", expected="a value", found="nothing")]


def test_names_of_union_members_are_no_steps() -> None:
    findings = found(list[Cat | Dog], [Cat(lives=9), {"tricks": ["x"]}])
    assert [(each.path, each.found) for each in findings] == [
        ("$[1].lives", "nothing"),
        ("$[1].bark", "nothing"),
        ("$[1].tricks[0]", '"x"'),
    ]


def test_what_a_validator_says_is_kept() -> None:
    def even(value: int) -> int:
        if value % 2:
            raise ValueError("it is odd")
        return value

    assert found(Annotated[int, AfterValidator(even)], 3) == [Finding("bad", "$", "it is odd", found="3")]


def test_a_name_that_is_too_much_is_told() -> None:
    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid")

    assert found(list[Closed], [{"x": 1}]) == [Finding("bad", "$[0].x", "nothing of this name is known here", found="1")]


def test_many_findings_are_counted_not_listed() -> None:
    findings = found(list[int], ["x"] * (MAX_FINDINGS + 7))
    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1].message == "7 more places do not fit"
