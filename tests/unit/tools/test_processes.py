import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest

from agent_sdk.core.errors import ConfigError, RequestError
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import NoProcessFree, ProcessPool, refuse_second_main
from agent_sdk.tools.isolation import Home, Limits
from agent_sdk.tools.processes import died


def test_a_pool_has_room_for_a_process() -> None:
    with pytest.raises(RequestError):
        ProcessPool(0)


async def test_a_closed_pool_starts_nothing(context: ToolContext[object]) -> None:
    pool = ProcessPool()
    pool.close()
    with pytest.raises(NoProcessFree, match="the process pool is closed"):
        await pool.run(Home(__name__, "x"), {}, Limits(), context)
    assert pool.processes == 0


async def test_a_process_that_does_not_start_called_nothing(context: ToolContext[object], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(method: str) -> object:
        raise OSError("no more processes")

    monkeypatch.setattr(multiprocessing, "get_context", refuse)
    with pytest.raises(NoProcessFree, match="no process could be started for the tool: no more processes") as caught:
        await ProcessPool().run(Home(__name__, "x"), {}, Limits(), context)
    assert caught.value.hint is not None
    assert "__main__" in caught.value.hint


def ended(code: int | None) -> Callable[[], OSError]:
    def make() -> OSError:
        error: Any = OSError("abnormal termination")
        error.exitcode = code
        return error  # type: ignore[no-any-return]

    return make


@pytest.mark.parametrize(
    ("error", "limits", "said"),
    [
        (ended(-24), Limits(cpu_s=2), "the tool's process used up its processor time: cpu_s is 2"),
        (ended(-9), Limits(), "the tool's process was killed from outside"),
        (ended(-11), Limits(), "the tool's process ended by SIGSEGV and gave no answer"),
        (ended(-99), Limits(), "the tool's process ended by signal 99 and gave no answer"),
        (ended(-24), Limits(), "the tool's process ended by SIGXCPU and gave no answer"),
        (ended(3), Limits(), "the tool's process ended with exit code 3 and gave no answer"),
        (ended(None), Limits(), "the tool's process ended and gave no answer"),
        (MemoryError, Limits(memory_mb=64), "the tool's process ran out of memory: memory_mb is 64"),
    ],
    ids=["time", "killed", "crashed", "time of others", "odd", "exited", "unknown", "memory"],
)
def test_how_a_process_died_is_said(error: Callable[[], OSError | MemoryError], limits: Limits, said: str) -> None:
    death = died(error(), limits)
    assert (death.code, death.message) == ("tool_process_died", said)
    assert death.hint


def test_runs_are_not_started_again_where_a_script_is_imported_by_a_tools_process(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_second_main()
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(ConfigError) as caught:
        refuse_second_main()
    assert caught.value.hint is not None
    assert 'if __name__ == "__main__":' in caught.value.hint
