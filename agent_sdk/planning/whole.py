"""Plan first, then perform: the model gives the whole DAG at once, and is asked again only where it does not hold or a step failed."""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.codec import adapter
from agent_sdk.core.errors import AnswerError, PlanError
from agent_sdk.core.findings import Finding, render_findings
from agent_sdk.core.frozen import frozen
from agent_sdk.core.graph import StepState
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, user_message
from agent_sdk.core.model import NO_SETTINGS, ModelRequest, ModelSettings
from agent_sdk.core.plan import Plan, plan_to_json
from agent_sdk.core.ports import Answer, Ask, Checker, Compact, Propose
from agent_sdk.core.run import Draft, Run
from agent_sdk.core.schemas import Schema, describe
from agent_sdk.core.tokens import tokens_of_text
from agent_sdk.core.tools import ToolSpec
from agent_sdk.planning.context import ContextKeeper, Said
from agent_sdk.planning.fixed import result_of
from agent_sdk.planning.loop import instructions_of, refuse_cut_reply
from agent_sdk.planning.parse import parse_plan_reply
from agent_sdk.planning.prompts import render_prompt

_CALLED = Finding("reply_empty", "$", "the reply calls a tool instead of planning", hint="answer with the plan alone, as JSON")


@frozen
class WholePlanner:
    """Asks `model` for a plan, with the findings of every one that was rejected; after a failure, for the rest of it."""

    agent: AgentSpec
    model: str
    settings: ModelSettings = NO_SETTINGS
    window: int | None = None

    def next(self, run: Run) -> Ask | Propose | Answer | Compact:
        if run.last_reply is not None:
            refuse_cut_reply(run)
            if run.last_reply.tool_calls and not run.last_reply.text.strip():
                return Propose(None, (_CALLED,))
            plan, findings = parse_plan_reply(run.last_reply.text)
            return Propose(plan, findings)
        if run.revision == 0:
            return self._ask(run, [], "plan")
        if run.to_repair or run.answer_findings:
            return self._repair(run)
        return Answer(result_of(run))

    def _repair(self, run: Run) -> Ask | Compact:
        limits = self.agent.limits
        if run.repairs >= limits.max_plan_repairs and run.to_repair:
            raise PlanError(
                f"step {run.to_repair[0]!r} failed again after {run.repairs} repairs of the plan",
                hint="raise Limits.max_plan_repairs, or mend the tool",
            )
        if run.answer_refusals > limits.max_answer_repairs:
            raise AnswerError(f"the plan's result does not hold after {run.repairs} repairs:\n{render_findings(run.answer_findings)}")
        done = [f"- {state.id}: {_output_text(state, self.agent.tools)}" for state in run.graph.kept()]
        text = render_prompt("repair", failures=_failures(run), finished="\n".join(done) or "- none")
        return self._ask(run, [user_message(text)], "repair")

    def _ask(self, run: Run, task: list[Message], purpose: Literal["plan", "repair"]) -> Ask | Compact:
        """Ask for a plan, or for what makes the question fit.

        Behind the goal and what the user said since comes the task, and behind it every plan that was rejected.
        """
        if len(run.drafts) > self.agent.limits.max_plan_repairs:
            complaint = render_findings(run.drafts[-1].findings)
            raise PlanError(f"the model gave no valid plan in {len(run.drafts)} tries; the last complaint was:\n{complaint}")
        drafts = [_about(draft, is_newest=draft is run.drafts[-1]) for draft in run.drafts]
        tools = "\n".join(_tool_line(tool) for tool in self.agent.tools) or "(none)"
        request = ModelRequest(
            StepId(f"plan.{run.questions + 1}"),
            self.model,
            Conversation([*run.conversation, *task, *(message for about in drafts for message in about)]),
            self._instructions(run, tools),
            output_schema=plan_schema(),
            settings=self.settings,
            max_attempts=run.attempts_left,
            tenant=run.tenant,
        )
        keeper = ContextKeeper(self.agent.context, self.window)
        return keeper.shortened(run, request, Said(drafts, tokens_of_text(tools))) or Ask(request, purpose)

    def _instructions(self, run: Run, tools: str) -> str:
        output = "plain text, or data that speaks for itself"
        if self.agent.output_schema is not None:
            output = f"of this JSON Schema: {json.dumps(dict(self.agent.output_schema), ensure_ascii=False)}"
        prompt = render_prompt("plan", tools=tools, output=output)
        own = instructions_of(self.agent, run)
        return f"{own}\n\n{prompt}" if own else prompt


def _about(draft: Draft, *, is_newest: bool) -> list[Message]:
    """Return what is said of a rejected plan: its own words and what is wrong with them. Of an older one without its words, nothing is."""
    complaint = user_message(render_prompt("rejected", findings=render_findings(draft.findings)))
    if draft.reply is None:
        return [complaint] if is_newest else []
    return [draft.reply.without_calls(), complaint]


def plan_schema() -> Mapping[str, JsonValue]:
    """Return the JSON Schema of a plan, as models and editors get it."""
    schema: dict[str, JsonValue] = adapter(Plan).json_schema()
    return schema


def _tool_line(tool: ToolSpec) -> str:
    parts: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "returns": dict(tool.returns),
        "effect": tool.effect,
    }
    return json.dumps(parts, ensure_ascii=False)


def _failures(run: Run) -> str:
    lines = [f"- step {identity}: {_failure(run, identity)}" for identity in run.to_repair]
    if run.answer_findings:
        lines.append(f"- the result does not hold:\n{render_findings(run.answer_findings)}")
    return "\n".join(lines)


def _failure(run: Run, identity: StepId) -> str:
    failure = run.graph.steps[identity].failure
    return f"{failure.message or ''} [{failure.code}]" if failure is not None else "failed"


def _output_text(state: StepState, tools: tuple[ToolSpec, ...]) -> str:
    spec = next((each for each in tools if each.name == state.tool), None)
    text = f"a result of {state.tool}, {describe(Schema.of(spec.returns))}" if spec is not None else "a model's reply"
    return f"a list, of which each is {text}" if state.each else text


@frozen
class PlanOnly:
    """Plans like `inner` and answers with the plan itself: checked, and not performed."""

    inner: WholePlanner
    checker: Checker

    def next(self, run: Run) -> Ask | Propose | Answer | Compact:
        proposal = self.inner.next(run)
        if not isinstance(proposal, Propose) or proposal.plan is None or self.checker.plan(proposal.plan, run):
            return proposal
        return Answer(plan_to_json(proposal.plan))
