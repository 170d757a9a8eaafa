"""`agent-sdk run`: a goal, or an author's plan, to its answer."""

import math
import sys
from decimal import Decimal
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated

import typer

from agent_sdk.cli.budget import parse_amount
from agent_sdk.cli.opening import AnyAgent, Given, open_settings
from agent_sdk.cli.options import AgentOption, AppOption, BaseUrlOption, JournalOption, JsonOption, QuietOption
from agent_sdk.cli.perform import Begun, Show, errors_as_json, perform, report
from agent_sdk.core.budget import Budget
from agent_sdk.core.errors import PlanRefused, RequestError
from agent_sdk.core.ids import PrincipalId
from agent_sdk.core.messages import FilePart
from agent_sdk.runtime import Runtime, StartOptions
from agent_sdk.runtime.plan_file import read_plan

MAX_STDIN_BYTES = 64 * 1024 * 1024
LONGEST_S = 31_536_000


def run(
    ctx: typer.Context,
    goal: Annotated[str | None, typer.Argument(metavar="GOAL", help="What the run shall achieve; - reads it from stdin.")] = None,
    app: AppOption = None,
    agent: AgentOption = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="VENDOR:NAME", help="The model, such as openai:gpt-5-mini. [setting: model]")
    ] = None,
    base_url: BaseUrlOption = None,
    journal: JournalOption = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="URL", help="Leave the run to the workers of this journal, and watch it.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="NAME", help="A conversation: the run knows what was said in it before.")
    ] = None,
    principal: Annotated[
        str | None, typer.Option("--principal", metavar="USER", help="The user whom the run acts for: whose memories its tools work on.")
    ] = None,
    queue: Annotated[str, typer.Option("--queue", metavar="NAME", help="The queue that workers choose by.")] = "default",
    priority: Annotated[int, typer.Option("--priority", help="From -1000 to 1000; among a tenant's runs a higher one comes first.")] = 0,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Perform this plan instead of asking a model for one.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Let the model plan, check the plan, print it and perform nothing.")
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TEXT", help="Mark the run; may be given several times.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="SECONDS", help="End the run when it has taken this long.")] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="USD", help="What the run may spend, such as 0.50; it waits for more.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", metavar="FILE", help="Show the model a file with the goal; may be given several times.")
    ] = None,
) -> None:
    """Give an agent a goal, watch it work, and print its answer.

    The answer goes to stdout and all else to stderr. The first Ctrl-C suspends the run and prints the command that goes on with it;
    the second leaves at once.
    """
    with errors_as_json(json):
        if on is not None and journal is not None:
            raise RequestError("--on and --journal name one journal each", hint="give one of them: --on leaves the run to its workers")
        if on is not None and on.startswith("memory:"):
            raise RequestError("a journal in memory has no workers", hint="name one that others can open: --on sqlite:///agent.db")
        opened = open_settings(ctx, Given(app, on if on is not None else journal, model, base_url))
        options = StartOptions(
            tags=tag or (),
            principal=None if principal is None else PrincipalId(principal),
            timeout_s=_checked_timeout(timeout),
            plan_only=plan_only,
            session=session,
            queue=queue,
            priority=priority,
            budget=None if budget is None else Budget(parse_amount("--budget", budget, Decimal)),
            files=[_shown_file(path) for path in file or ()],
        )
        known = opened.app()
        chosen = _prepared(opened.agent(known, agent), plan, plan_only=plan_only)
        text = _read_goal(goal, chosen, plan)

        async def begin(runtime: Runtime) -> Begun:
            begin = runtime.start if on is None else runtime.enqueue
            return Begun(await begin(chosen, text, options=options))

        show = Show(json, quiet, is_elsewhere=on is not None)
        performed = perform(opened, known, begin, show)
    raise typer.Exit(report(performed, opened.recall, show))


def _prepared(agent: AnyAgent, plan: Path | None, *, plan_only: bool) -> AnyAgent:
    """Return the agent as this command wants it to plan.

    Raises:
        RequestError: two wishes exclude each other. PlanRefused: the file's plan does not hold. DocumentError: the file cannot be read.
    """
    if plan_only and plan is not None:
        raise RequestError(
            "--plan-only lets a model plan, and --plan brings a plan", hint=f"to look at a plan: agent-sdk plan check {plan}"
        )
    if plan is not None:
        return with_plan(agent, plan)
    if plan_only and agent.spec.strategy == "fixed":
        raise RequestError(f"agent {agent.name!r} performs an author's plan, so no model plans for it", hint="leave --plan-only out")
    return agent.with_options(strategy="plan") if plan_only else agent


def with_plan(agent: AnyAgent, path: Path) -> AnyAgent:
    """Return the agent with the plan in the file, checked against its tools.

    Raises:
        PlanRefused: the plan does not hold; each finding names its line. DocumentError: the file cannot be read.
    """
    file = read_plan(path)
    if (findings := file.check(agent)) or file.plan is None:
        raise PlanRefused([file.located(finding) for finding in findings])
    return agent.with_options(strategy="fixed", plan=file.plan)


def _read_goal(goal: str | None, agent: AnyAgent, plan: Path | None) -> str:
    """Return the goal's text; an author's plan needs none and gets its own name.

    Raises:
        RequestError: there is none, or stdin holds no text.
    """
    if goal is None:
        if agent.spec.strategy == "fixed":
            return f"Perform the plan {plan.name}" if plan is not None else f"Perform the plan of {agent.name}"
        raise RequestError("no goal was given", hint='say what to achieve: agent-sdk run "GOAL", or - to read it from stdin')
    if goal != "-":
        return goal
    try:
        return sys.stdin.buffer.read(MAX_STDIN_BYTES).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise RequestError(f"stdin holds no UTF-8 text: byte {error.start + 1} does not fit", hint="decode it before") from error


def _shown_file(path: Path) -> FilePart:
    """Return the file as the model is shown it.

    Raises:
        RequestError: it cannot be read, or nobody can say what it is.
    """
    media_type, _ = guess_type(path.name)
    if media_type is None:
        raise RequestError(f"nobody can say what {path} is", hint="give it a name that ends as its kind does, such as .png or .pdf")
    try:
        return FilePart.from_bytes(path.read_bytes(), media_type, path.name)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}", hint="name a file that is there") from error


def _checked_timeout(timeout_s: float | None) -> float | None:
    if timeout_s is not None and not (math.isfinite(timeout_s) and 0 < timeout_s <= LONGEST_S):
        raise RequestError(f"--timeout {timeout_s:g} is no time to give a run", hint=f"give seconds above 0, at most {LONGEST_S:,}")
    return timeout_s
