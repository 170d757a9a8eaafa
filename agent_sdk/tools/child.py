"""What happens in a tool's own process: it finds the function, takes its limits, calls it once, and answers in JSON."""

import asyncio
import inspect
import json
import math
import os
import signal
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import cast

from pydantic import JsonValue

from agent_sdk.core.errors import AgentSDKError, ArgumentsInvalid, NotDone, OutsideError, ResultInvalid
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import PrincipalId, RunId, StepId, TenantId
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools.declaration import Declaration, Options
from agent_sdk.tools.isolation import Home, Limits, imported

MIB = 1024 * 1024


@frozen
class Request:
    """One call: what to call, its arguments as JSON, its limits, and what its context says; `left_s` is the time until the deadline."""

    home: Home
    args: str
    limits: Limits
    tenant: TenantId
    run_id: RunId
    step_id: StepId
    attempt: int
    idempotency_key: str
    left_s: float | None
    principal: PrincipalId | None = None
    agent: str = ""

    def context(self) -> ToolContext[None]:
        deadline_s = None if self.left_s is None else time.monotonic() + self.left_s
        names = self.tenant, self.run_id, self.step_id, self.attempt, self.idempotency_key
        return ToolContext(*names, None, deadline_s, principal=self.principal, agent=self.agent)


def perform(request: Request) -> str:
    """Answer a request in the process that was started for it alone."""
    _lead_a_group()
    threading.Thread(target=_end_with_parent, name="agent-sdk-parent", daemon=True).start()
    return answer(request)


def answer(request: Request) -> str:
    """Call the function; return its result, or what it raised, as the JSON object that `processes` reads."""
    try:
        declaration = _found(request.home)
    except BaseException as error:  # noqa: BLE001  (to import a module is to run the user's code)
        return json.dumps({"failure": {**_failure(error), "kind": "NotFound"}})
    try:
        _restrict(request.limits)
        return json.dumps({"output": _called(declaration, request)})
    except BaseException as error:  # noqa: BLE001  (the boundary to a tool: whatever it raises goes to its caller)
        return json.dumps({"failure": _failure(error)})


def _found(home: Home) -> Declaration:
    found = imported(home)
    declaration = getattr(found, "declaration", None)  # where the name is the tool's
    return declaration if isinstance(declaration, Declaration) else _declared(found)


def _declared(function: Callable[..., object]) -> Declaration:
    plain = inspect.unwrap(function)
    if not inspect.isfunction(plain):
        raise TypeError(f"{plain!r} is no function")
    return Declaration(function, plain, Options(isolation="process"), None, "nothing")


def _called(declaration: Declaration, request: Request) -> JsonValue:
    form = declaration.of_function
    values = form.arguments.parse(json.loads(request.args))
    if form.context is not None:
        values[form.context] = request.context()
    if declaration.is_async:
        return form.results.dump(asyncio.run(_awaited(declaration.function, values)))
    return form.results.dump(declaration.function(**values))


async def _awaited(function: Callable[..., object], values: Mapping[str, object]) -> object:
    return await cast("Awaitable[object]", function(**values))


def _failure(error: BaseException) -> dict[str, JsonValue]:
    """Describe what was raised: `kind` names the class that the caller raises in its place."""
    match error:
        case ArgumentsInvalid() | ResultInvalid():
            findings: list[JsonValue] = [asdict(finding) for finding in error.findings]
            return {**_told(error), "kind": type(error).__name__, "findings": findings}
        case AgentSDKError():
            return {**_told(error), "kind": "NotDone" if isinstance(error, NotDone) else "ToolError"}
        case MemoryError():
            return {"kind": "MemoryError", "message": "it ran out of memory"}
        case SystemExit():
            return _foreign(error, "tool_exited", f"the tool tried to end the process: SystemExit({error.code!r})")
        case asyncio.CancelledError():
            return _foreign(error, "tool_cancelled_itself", "the tool was cancelled from within, not by the run")
        case _:
            return _foreign(error, "tool_failed", _said(error))


def _told(error: AgentSDKError) -> dict[str, JsonValue]:
    return {
        "message": str(error.message),
        "hint": error.hint,
        "code": error.code,
        "retryable": error.retryable,
        "retry_after_s": error.retry_after_s if isinstance(error, OutsideError) else None,
        "traceback": "".join(traceback.format_exception(error)) if error.__cause__ is not None else None,
    }


def _foreign(error: BaseException, code: str, message: str) -> dict[str, JsonValue]:
    return {
        "kind": "ToolError",
        "message": message,
        "code": code,
        "retryable": isinstance(error, TimeoutError | ConnectionError),
        "traceback": "".join(traceback.format_exception(error)),
    }


def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (an exception may itself be broken: the same boundary)
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _restrict(limits: Limits) -> None:
    """Take the limits on; the processor time that the start took does not count."""
    if limits == Limits():
        return
    import resource  # noqa: PLC0415  (not everywhere: the declaration saw to it that it is here)

    if limits.memory_mb is not None:
        _limit(resource.RLIMIT_AS, limits.memory_mb * MIB, 0)
    if limits.cpu_s is not None:
        _limit(resource.RLIMIT_CORE, 0, 0)  # to be stopped for its time is no crash to be looked into
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time() + limits.cpu_s), 1)


def _limit(kind: int, soft: int, grace: int) -> None:
    import resource  # noqa: PLC0415  (the same)

    _, most = resource.getrlimit(kind)
    hard = soft + grace if most == resource.RLIM_INFINITY else min(soft + grace, most)
    resource.setrlimit(kind, (min(soft, hard), hard))


def _lead_a_group() -> None:
    """Become the leader of a process group, so that what the tool starts can be ended with it."""
    if hasattr(os, "setsid"):
        os.setsid()


def _end_with_parent() -> None:
    """End this process, and what it started, when the one that asked for it dies."""
    import multiprocessing  # noqa: PLC0415  (loaded in a child, and in no other process for this)
    from multiprocessing.connection import wait  # noqa: PLC0415  (the same)

    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
