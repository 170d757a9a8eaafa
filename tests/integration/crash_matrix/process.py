"""Workers that die where they are told, each forked from a process that has all of the code loaded: `python -m ...process ERRORS`.

It reads an order a line, and answers with the worker's number, and when that is over with its exit code. The worker makes the run if there
is none, and works until it ended. What a worker says of errors is found in the file ERRORS.
"""

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel

from agent_sdk.core.run import ENDS
from agent_sdk.runtime import AgentDeclaration, App, Runtime, Worker, WorkerOptions
from tests.integration.crash_matrix.agents import make_agents
from tests.integration.deadly import Fuse, Point, arm

PATIENCE_S = 60.0
LOOK_S = 0.02
Only = Literal["parent", "helper"]


class Order(BaseModel):
    """What a worker shall do; with `only`, it performs the runs of one of the two agents and leaves the others alone."""

    journal: str
    tenant: str
    counter: str
    lease_s: float
    point: Point | None = None
    only: Only | None = None


@dataclass(frozen=True)
class HalfApp(App):
    """An app that carries some of its agents alone."""

    carried: Sequence[AgentDeclaration[Any, Any]] = ()

    @cached_property
    def known(self) -> Sequence[AgentDeclaration[Any, Any]]:
        return self.carried


async def work(order: Order) -> None:
    """Make the run if there is none, and perform what is due until it ended."""
    fuse = Fuse(order.point)
    arm(fuse)
    parent, helper = make_agents(order.counter, fuse)
    app = App([parent]) if order.only is None else HalfApp([parent, helper], carried=[parent if order.only == "parent" else helper])
    async with asyncio.timeout(PATIENCE_S), Runtime.open(order.journal, app=app, tenant=order.tenant, lease_s=order.lease_s) as runtime:
        if order.only != "helper" and not await runtime.runs():
            await runtime.enqueue(parent, "go")
        worker = Worker(runtime, WorkerOptions(tenants=frozenset([runtime.tenant]), grace_s=5.0))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(worker.run())
            await until_ended(runtime)
            worker.drain()


async def until_ended(runtime: Runtime) -> None:
    while not any(row.parent is None and row.state in ENDS for row in await runtime.runs()):  # noqa: ASYNC110  (another process may end it)
        await asyncio.sleep(LOOK_S)


def serve(errors: str) -> None:
    for line in sys.stdin:
        worker = os.fork()
        if not worker:
            _become(Order.model_validate_json(line), errors)
        _say({"worker": worker})
        _say({"code": os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])})


def _become(order: Order, errors: str) -> None:
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    code = 1
    try:
        asyncio.run(work(order))
        code = 0
    except BaseException:  # noqa: BLE001  (the process's outermost edge)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _say(told: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
