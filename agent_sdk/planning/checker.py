"""Finds all that does not hold in a plan, a call or an answer, before anything acts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from pydantic import JsonValue

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ToolCallPart
from agent_sdk.core.nearest import nearest
from agent_sdk.core.plan import GOAL, ITEM, STEP_ID, ModelStep, Plan, Ref, Step, ToolStep, as_ref, refs_in, sources_of
from agent_sdk.core.ports import Tool
from agent_sdk.core.run import Run
from agent_sdk.core.schemas import UNKNOWN, Mismatch, Schema, at_path, items_of, mismatch, schema_of
from agent_sdk.planning.answers import AnswerType
from agent_sdk.planning.order import cycle_in, stuck_behind

TEXT = Schema.of({"type": "string"})
MAX_NAME_SHOWN = 80
MAX_NAMES_SHOWN = 20
MAX_CIRCLE_SHOWN = 20
MAX_GUESSES = 20
MAX_CIRCLES = 20


@frozen
class PlanChecker:
    """Checks against the agent's tools; it reads declarations only and performs nothing."""

    agent: AgentSpec
    tools: Mapping[str, Tool]
    answers: AnswerType

    def plan(self, plan: Plan, run: Run) -> Sequence[Finding]:
        """Return every finding; a plan over the step limit is not looked at further."""
        if not plan.steps:
            return [Finding("plan_empty", "$.steps", "the plan has no steps", hint="a result that nothing computed would be invented")]
        left = self.agent.limits.max_steps - sum(1 for state in run.graph.steps.values() if state.attempt)
        if len(plan.steps) > left:
            message = f"the plan has {len(plan.steps):,} steps"
            return [Finding("too_many_steps", "$.steps", message, expected=f"at most {left:,}", hint="use for_each, or fewer steps")]
        return list(_PlanCheck(self, plan, run).findings())

    def call(self, call: ToolCallPart) -> Sequence[Finding]:
        """Return what is wrong with one call of a loop; paths start at the arguments."""
        tool = self.tools.get(call.tool)
        if tool is None:
            return [_unknown_tool(call.tool, self.tools, "$", nearest(call.tool, self.tools))]
        if call.args is None:
            return [
                Finding(
                    "arguments_not_json",
                    "$",
                    call.problem or "the arguments are no JSON object",
                    found=(call.raw or "")[:120],
                    hint="send one JSON object",
                )
            ]
        return tool.problems(call.args)

    def answer(self, value: JsonValue) -> Sequence[Finding]:
        return self.answers.findings(value)


class _PlanCheck:
    """One look at one plan."""

    def __init__(self, checker: PlanChecker, plan: Plan, run: Run) -> None:
        self._checker = checker
        self._plan = plan
        self._finished = {state.id: state for state in run.graph.kept()}
        self._taken = {state.id for state in run.graph.steps.values() if state.attempt}
        self._guesses_left = MAX_GUESSES
        self._steps: dict[StepId, Step] = {step.id: step for step in plan.steps}
        self._sources = [sources_of(step) for step in plan.steps]
        self._outputs: dict[StepId, Schema] = {}

    def findings(self) -> Iterator[Finding]:
        yield from self._ids()
        for index, step in enumerate(self._plan.steps):
            yield from self._step(step, f"$.steps[{index}]")
        yield from self._order()
        yield from self._result()
        yield from self._unused()

    def _ids(self) -> Iterator[Finding]:
        seen: set[StepId] = set()
        for index, step in enumerate(self._plan.steps):
            path = f"$.steps[{index}].id"
            if not STEP_ID.fullmatch(step.id):
                yield Finding(
                    "bad_id", path, f"{step.id!r} is no step id", expected="a letter or _, then letters, digits, _ or -, at most 64"
                )
            if step.id in {ITEM, GOAL}:
                yield Finding("reserved_id", path, f"{step.id!r} has a meaning of its own in references", hint="choose another id")
            if step.id in seen or step.id in self._taken:
                yield Finding(
                    "duplicate_id",
                    path,
                    f"another step has the id {step.id!r}",
                    hint="choose a new id; a step that was started keeps its own",
                )
            seen.add(step.id)

    def _step(self, step: Step, path: str) -> Iterator[Finding]:
        match step:
            case ToolStep():
                yield from self._tool_step(step, path)
            case ModelStep():
                if self._checker.agent.model is None:
                    yield Finding(
                        "model_missing",
                        path,
                        "a model step needs a model, and the agent names none",
                        hint="give the agent a model, or use a tool",
                    )
                yield from self._refs(step, step.args, f"{path}.args")
            case _:
                assert_never(step)
        if step.for_each is not None:
            yield from self._for_each(step, path)
        if step.when is not None:
            yield from self._one_ref(None, Ref.parse(step.when.ref), f"{path}.when.ref")
        for index, source in enumerate(step.after):
            if source not in self._steps and source not in self._finished:
                yield self._unknown_reference(source, f"{path}.after[{index}]")

    def _tool_step(self, step: ToolStep, path: str) -> Iterator[Finding]:
        tool = self._checker.tools.get(step.tool)
        if tool is None:
            yield _unknown_tool(step.tool, self._checker.tools, f"{path}.tool", self._nearest(step.tool, self._checker.tools))
            yield from self._refs(step, step.args, f"{path}.args")
            return
        partial = frozenset(name for name, value in step.args.items() if next(refs_in(value), None) is not None)
        for problem in tool.problems(step.args, partial=partial):
            yield replace(problem, path=f"{path}.args{problem.path.removeprefix('$')}")
        parameters = Schema.of(tool.spec.parameters)
        for name in (name for name in step.args if name in partial):
            yield from self._value(step, step.args[name], at_path(parameters, (name,)) or UNKNOWN, f"{path}.args.{name}")
        if step.on_error == "retry" and tool.spec.effect == "once":
            yield Finding(
                "retry_once_effect",
                f"{path}.on_error",
                f"{step.tool!r} has a `once` effect, which is never retried",
                hint="use fail, skip or repair",
            )

    def _value(self, step: Step | None, value: JsonValue, target: Schema, path: str) -> Iterator[Finding]:
        """Check references and types in a value that may hold both references and literals."""
        if (ref := as_ref(value)) is not None:
            source, problem = self._resolve(step, ref, path)
            if problem is not None:
                yield problem
            elif source is not None and (misfit := mismatch(source, target)) is not None:
                yield _type_finding(ref, misfit, path)
        elif isinstance(value, dict) and next(refs_in(value), None) is not None:
            fields: dict[str, JsonValue] = {name: {} for name in value}
            yield from _literal({"type": "object", "properties": fields}, target, path)
            for name, inner in value.items():
                yield from self._value(step, inner, at_path(target, (name,)) or UNKNOWN, f"{path}.{name}")
        elif isinstance(value, list) and next(refs_in(value), None) is not None:
            yield from _literal({"type": "array"}, target, path)
            for index, inner in enumerate(value):
                yield from self._value(step, inner, items_of(target) or UNKNOWN, f"{path}[{index}]")
        else:
            yield from _literal(schema_of(value).node, target, path)

    def _refs(self, step: Step, value: JsonValue, path: str) -> Iterator[Finding]:
        for where, ref in refs_in(value, path):
            yield from self._one_ref(step, ref, where)

    def _one_ref(self, step: Step | None, ref: Ref, path: str) -> Iterator[Finding]:
        _, problem = self._resolve(step, ref, path)
        if problem is not None:
            yield problem

    def _resolve(self, step: Step | None, ref: Ref, path: str) -> tuple[Schema | None, Finding | None]:
        """Return the schema of what a reference leads to, or why it leads nowhere."""
        if ref.step == ITEM:
            if step is None or step.for_each is None:
                return None, Finding(
                    "item_outside_for_each", path, "`item` has a meaning only in the args of a step with for_each", hint="name a step"
                )
            whole, _ = self._resolve(None, Ref.parse(step.for_each), path)
            base = items_of(whole) if whole is not None else None
            if base is None:
                return None, None  # said at for_each
        elif ref.step in self._steps or ref.step in self._finished:
            base = self._output(ref.step)
        elif ref.step == GOAL:
            base = TEXT
        else:
            return None, self._unknown_reference(ref.step, path)
        found = at_path(base, ref.path)
        if found is None:
            return None, Finding(
                "reference_path", path, f"{str(ref)!r} leads to nothing in the output of {ref.step!r}", hint=_fields_hint(base)
            )
        return found, None

    def _output(self, identity: StepId) -> Schema:
        if identity not in self._outputs:
            done = self._finished.get(identity)
            step = self._steps.get(identity, done.spec if done is not None else None)
            is_member = identity not in self._steps and done is not None and done.group is not None
            is_list = step is not None and step.for_each is not None and not is_member
            schema = self._output_of(step)
            self._outputs[identity] = Schema({"type": "array", "items": dict(schema.node)}, schema.root) if is_list else schema
        return self._outputs[identity]

    def _output_of(self, step: Step | None) -> Schema:
        match step:
            case ToolStep():
                tool = self._checker.tools.get(step.tool)
                return Schema.of(tool.spec.returns) if tool is not None else UNKNOWN
            case ModelStep():
                return Schema.of(step.output_schema) if step.output_schema is not None else TEXT
            case _:
                return UNKNOWN

    def _for_each(self, step: Step, path: str) -> Iterator[Finding]:
        ref = Ref.parse(step.for_each or "")
        source, problem = self._resolve(None, ref, f"{path}.for_each")
        if problem is not None:
            yield problem
        elif source is not None and items_of(source) is None:
            misfit = mismatch(source, Schema.of({"type": "array"}))
            yield _type_finding(ref, misfit or Mismatch("", "array", "something else"), f"{path}.for_each")

    def _order(self) -> Iterator[Finding]:
        needs = {
            step.id: [each for each in (*sources, *step.after) if each in self._steps]
            for step, sources in zip(self._plan.steps, self._sources, strict=True)
        }
        places = {step.id: f"$.steps[{index}]" for index, step in enumerate(self._plan.steps)}
        for _ in range(MAX_CIRCLES):
            if not (cycle := cycle_in(needs)):
                return
            circle = " -> ".join((*cycle, cycle[0])) if len(cycle) < MAX_CIRCLE_SHOWN else f"{cycle[0]} -> {cycle[1]} -> ... -> {cycle[0]}"
            yield Finding("cycle", places[cycle[0]], f"steps wait for one another: {circle}", hint="break the circle")
            stuck = stuck_behind(needs, cycle)
            for step in filter(stuck.__contains__, places):
                yield Finding("unreachable_step", places[step], f"{step!r} can never start: it waits for a circle")
            needs = {step: sources for step, sources in needs.items() if step not in stuck and step not in cycle}

    def _result(self) -> Iterator[Finding]:
        if all(ref.step == GOAL for _, ref in refs_in(self._plan.result)):
            yield Finding(
                "result_invented", "$.result", "the result refers to no step", hint='build it from references such as {"$ref": "step_id"}'
            )
        schema = self._checker.agent.output_schema
        yield from self._value(None, self._plan.result, Schema.of(schema) if schema is not None else UNKNOWN, "$.result")

    def _unused(self) -> Iterator[Finding]:
        used = {ref.step for _, ref in refs_in(self._plan.result)}
        for step, sources in zip(self._plan.steps, self._sources, strict=True):
            used.update((*sources, *step.after))
        for index, step in enumerate(self._plan.steps):
            tool = self._checker.tools.get(step.tool) if isinstance(step, ToolStep) else None
            changes_nothing = isinstance(step, ModelStep) or (tool is not None and tool.spec.effect == "read" and tool.spec.kind == "call")
            if step.id not in used and changes_nothing:
                yield Finding(
                    "unused_step", f"$.steps[{index}]", f"nothing uses the output of {step.id!r}", hint="refer to it, or leave it out"
                )

    def _unknown_reference(self, identity: str, path: str) -> Finding:
        near = self._nearest(identity, [*self._steps, *self._finished])
        hint = f"did you mean {near!r}?" if near else "refer to a step of this plan, `goal`, or `item` under for_each"
        return Finding("unknown_reference", path, f"there is no step {identity[:MAX_NAME_SHOWN]!r}", hint=hint)

    def _nearest(self, name: str, names: Iterable[str]) -> str | None:
        """Return the name that was probably meant; the first few questions are answered, since each costs a look at every name."""
        self._guesses_left -= 1
        return nearest(name, names) if self._guesses_left >= 0 else None


def _literal(node: Mapping[str, JsonValue], target: Schema, path: str) -> Iterator[Finding]:
    if (misfit := mismatch(Schema.of(node), target)) is not None:
        yield Finding("wrong_type", f"{path}{misfit.path}", "the value does not fit", expected=misfit.expected, found=misfit.found)


def _unknown_tool(name: str, tools: Iterable[str], path: str, near: str | None) -> Finding:
    hint = f"did you mean {near!r}?" if near else "the tools are: " + (", ".join(sorted(tools)[:MAX_NAMES_SHOWN]) or "none")
    return Finding("unknown_tool", path, f"there is no tool {name[:MAX_NAME_SHOWN]!r}", hint=hint)


def _type_finding(ref: Ref, misfit: Mismatch, path: str) -> Finding:
    return Finding(
        "reference_type",
        path,
        f"{str(ref)!r}{misfit.path and f' at {misfit.path}'} has the wrong type",
        expected=misfit.expected,
        found=misfit.found,
    )


def _fields_hint(schema: Schema) -> str | None:
    properties = schema.node.get("properties")
    return "it has " + ", ".join(sorted(properties)[:12]) if isinstance(properties, dict) and properties else None
