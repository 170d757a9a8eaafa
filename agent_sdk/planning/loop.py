"""The tool-calling loop: a question, the calls that the reply asks for, and so on until a reply asks for none."""

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.errors import AnswerError, ContentRefused, RepeatedCall, TurnLimit
from agent_sdk.core.findings import render_findings
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message
from agent_sdk.core.model import NO_SETTINGS, ModelRequest, ModelSettings
from agent_sdk.core.ports import Answer, Ask, Compact
from agent_sdk.core.run import Run
from agent_sdk.planning.context import ContextKeeper
from agent_sdk.planning.replies import parse_json_reply


@frozen
class LoopPlanner:
    """Asks `model` turn by turn. The calls of a reply become steps in the fold itself, so that nothing is proposed twice."""

    agent: AgentSpec
    model: str
    settings: ModelSettings = NO_SETTINGS
    window: int | None = None

    def next(self, run: Run) -> Ask | Answer | Compact:
        reply = run.last_reply
        if reply is not None and not run.calls:
            return self._answer(run, reply)
        self._guard(run)
        request = ModelRequest(
            StepId(f"t{run.turn + 1}"),
            self.model,
            run.conversation,
            instructions_of(self.agent, run),
            self.agent.tools,
            self.agent.output_schema,
            self.settings,
            run.attempts_left,
            run.tenant,
        )
        return ContextKeeper(self.agent.context, self.window).shortened(run, request) or Ask(request, "turn")

    def _answer(self, run: Run, reply: Message) -> Answer:
        refuse_cut_reply(run)
        if self.agent.output_schema is None:
            return Answer(reply.text)
        value, problem = parse_json_reply(reply.text)
        return Answer(value, () if problem is None else (problem,))

    def _guard(self, run: Run) -> None:
        limits = self.agent.limits
        if run.answer_refusals > limits.max_answer_repairs:
            complaint = render_findings(run.answer_findings)
            raise AnswerError(
                f"the model gave no valid answer in {run.answer_refusals} tries; the last complaint was:\n{complaint}",
                hint="simplify the output type, or raise Limits.max_answer_repairs",
            )
        if run.turn >= limits.max_turns:
            raise TurnLimit(f"the run took {run.turn} turns without an answer")
        if run.same_turns >= limits.max_repeats:
            calls = ", ".join(tool for tool, _ in run.signature)
            raise RepeatedCall(f"the model asked {run.same_turns + 1} times in a row for the same calls: {calls}")


def instructions_of(agent: AgentSpec, run: Run) -> str:
    """Return the agent's instructions: those that were made for this run, where they are made for each."""
    made = run.created.instructions if run.created is not None else None
    return agent.instructions if made is None else made


def refuse_cut_reply(run: Run) -> None:
    """Raise if the newest reply is not the model's whole answer: half an answer is none."""
    match run.last_stop:
        case "length":
            raise AnswerError("the model's reply was cut at its output limit", hint="raise max_output_tokens, or ask for less")
        case "refused":
            text = run.last_reply.text if run.last_reply is not None else ""
            raise ContentRefused(f"the model refused: {text[:200]}" if text else "the model refused to answer")
        case _:
            pass
