"""A plan made to hold has no findings, and any single fault put into it has one."""

from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.planning import parse_plan
from tests.unit.core.toy import new_run
from tests.unit.planning.workbench import Json, checker, ref, use

CHANCE = st.builds(Random, st.integers(0, 2**32))
Draft = dict[str, list[Json]]
Makers = Sequence[tuple[str, Callable[[str, Random, Draft], Json]]]


def _text(chance: Random, draft: Draft) -> JsonValue:
    places = [f"{each['id']}.files.{chance.randrange(3)}.path" for each in draft["listing"]] + [str(each["id"]) for each in draft["text"]]
    if places and chance.random() < 0.7:
        return ref(chance.choice(places))
    return ref("goal") if chance.random() < 0.5 else "some text"


def _number(chance: Random, draft: Draft) -> JsonValue:
    places = [f"{each['id']}.total" for each in draft["listing"]] + [str(each["id"]) for each in draft["number"]]
    return ref(chance.choice(places)) if places and chance.random() < 0.7 else chance.randrange(100)


MAKERS: Makers = (
    ("listing", lambda identity, chance, _draft: use(identity, "list_files", order=chance.choice(["name", "size"]))),
    ("text", lambda identity, chance, draft: use(identity, "read_file", path=_text(chance, draft), limit=_number(chance, draft))),
    ("number", lambda identity, chance, draft: use(identity, "count", texts=[_text(chance, draft) for _ in range(chance.randrange(3))])),
    (
        "files",
        lambda identity, chance, draft: use(identity, "search", query={"word": _text(chance, draft), "limit": _number(chance, draft)}),
    ),
    ("effect", lambda identity, chance, draft: use(identity, "send", to=_text(chance, draft), body=_text(chance, draft))),
    ("text", lambda identity, chance, draft: {"id": identity, "kind": "model", "prompt": "?", "args": {"x": _text(chance, draft)}}),
)


def valid_plan(chance: Random) -> Json:
    """Return a random plan in which every reference fits, and every step is used."""
    draft: Draft = {kind: [] for kind, _ in MAKERS}
    steps: list[Json] = []
    for index in range(chance.randrange(1, 12)):
        kind, make = chance.choice(MAKERS)
        step = make(f"s{index}", chance, draft)
        if draft["listing"] and kind in {"text", "number", "effect"} and chance.random() < 0.2:
            step |= {"for_each": f"{chance.choice(draft['listing'])['id']}.files"}
            kind = "unfolded"
        if steps and chance.random() < 0.2:
            step |= {"after": [chance.choice(steps)["id"]], "when": {"ref": chance.choice(steps)["id"]}}
        draft.setdefault(kind, []).append(step)
        steps.append(step)
    chance.shuffle(steps)
    return {"steps": [*steps], "result": [ref(str(step["id"])) for step in steps]}


def _step(plan: Json, chance: Random) -> Json:
    steps = plan["steps"]
    assert isinstance(steps, list)
    step = chance.choice(steps)
    assert isinstance(step, dict)
    return step


def _put(plan: Json, chance: Random, **fields: JsonValue) -> None:
    _step(plan, chance).update(fields)


def _put_arg(plan: Json, chance: Random, name: str, value: JsonValue) -> None:
    args = _step(plan, chance)["args"]
    assert isinstance(args, dict)
    args[name] = value


FAULTS: Sequence[tuple[str, Callable[[Json, Random], object]]] = (
    ("unknown tool", lambda plan, chance: _put(plan, chance, tool="no_such_tool")),
    ("unknown source", lambda plan, chance: _put_arg(plan, chance, "extra", ref("nobody"))),
    ("item outside", lambda plan, chance: plan.update(result=[plan["result"], ref("item")])),
    ("unknown after", lambda plan, chance: _put(plan, chance, after=["nobody"])),
    ("unknown when", lambda plan, chance: _put(plan, chance, when={"ref": "nobody.x"})),
    ("no list", lambda plan, chance: _put(plan, chance, for_each="goal")),
    ("bad id", lambda plan, chance: _put(plan, chance, id="no id")),
    ("reserved id", lambda plan, chance: _put(plan, chance, id="goal")),
    ("itself", lambda plan, chance: (step := _step(plan, chance)).update(after=[step["id"]])),
    ("twice", lambda plan, chance: plan.update(steps=[*_steps(plan), _step(plan, chance)])),
    ("invented", lambda plan, _chance: plan.update(result="42")),
    ("dead end", lambda plan, chance: plan.update(steps=[*_steps(plan), use("dead_end", "guess")])),
    ("bad place", lambda plan, chance: plan.update(result=[plan["result"], ref("goal.title")])),
)


def _steps(plan: Json) -> list[JsonValue]:
    steps = plan["steps"]
    assert isinstance(steps, list)
    return steps


@given(CHANCE)
def test_a_plan_made_to_hold_has_no_findings(chance: Random) -> None:
    plan, problems = parse_plan(valid_plan(chance))
    assert plan is not None, problems
    assert checker().plan(plan, new_run()) == []


@given(CHANCE, st.sampled_from(FAULTS))
def test_any_fault_in_a_plan_that_held_is_found(chance: Random, fault: tuple[str, Callable[[Json, Random], object]]) -> None:
    document = valid_plan(chance)
    fault[1](document, chance)
    plan, problems = parse_plan(document)
    assert problems or (plan is not None and checker().plan(plan, new_run()))
