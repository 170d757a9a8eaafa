"""The command as a process: on a terminal, in a pipe, interrupted at every stage, and beside another process on the same run."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.terminal import CTRL_C, MAIN, Terminal, offered, piped, surroundings, terminal, without_controls

pytestmark = pytest.mark.slow

SHOP = Path(__file__).with_name("shop_app.py")
GO_ON = "go on with it:"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a directory that holds the app."""
    shutil.copy(SHOP, tmp_path / "shop.py")
    return tmp_path


def run_words(agent: str, *words: str) -> list[str]:
    return ["run", "do it", "--app", "shop:app", "--agent", agent, *words]


def let_it_go_on(shown: Terminal) -> None:
    """Wait a moment, in which the process does not end."""
    with pytest.raises(subprocess.TimeoutExpired):
        shown.process.wait(timeout=0.4)


def states(shop: Path) -> list[str]:
    listed = json.loads(piped(shop, "runs", "list", "--json").stdout)
    return [row["state"] for row in listed["runs"]]


@pytest.mark.parametrize("columns", [100, 30])
def test_a_terminal_shows_the_steps_live_and_the_answer_goes_where_stdout_goes(shop: Path, columns: int) -> None:
    with terminal(shop, *run_words("post"), columns=columns, stdout=shop / "answer.json") as shown:
        shown.wait_for("running")
        assert shown.wait() == 0
        assert json.loads(shown.answer) == {"answer": "sent to somebody"}
        assert shown.raw.count(HIDE) == shown.raw.count(SHOW) == 1
        assert "finished" in shown.text
        assert "succeeded after" in shown.text
        table = shown.raw.rpartition(SHOW)[2].partition("succeeded after")[0]
        assert max(len(line) for line in without_controls(table).splitlines()) <= columns


def test_what_a_tool_prints_stands_above_the_table_and_not_in_the_answer(shop: Path) -> None:
    with terminal(shop, *run_words("prices"), stdout=shop / "answer.json") as shown:
        assert shown.wait() == 0
        assert "searching pen" in shown.text
        assert json.loads(shown.answer) == {"total": 20}


def test_no_colour_means_none(shop: Path) -> None:
    with terminal(shop, *run_words("prices"), environ={"NO_COLOR": "1"}) as shown:
        assert shown.wait() == 0
        assert "\x1b[3" not in shown.raw


def test_a_terminal_that_knows_lines_alone_gets_lines(shop: Path) -> None:
    with terminal(shop, *run_words("prices"), environ={"TERM": "dumb"}) as shown:
        assert shown.wait() == 0
        assert "\x1b" not in shown.raw
        assert "run.succeeded" in shown.text


@pytest.mark.parametrize(("agent", "sign"), [("napper", "running"), ("thinker", "thinker asks object:ScriptedModel")])
def test_the_first_ctrl_c_suspends_the_run_and_says_how_to_go_on(shop: Path, agent: str, sign: str) -> None:
    with terminal(shop, *run_words(agent)) as shown:
        shown.wait_for(sign)
        shown.press(CTRL_C)
        assert shown.wait() == 130
        assert offered(shown.text, GO_ON)[:2] == ["runs", "resume"]
        assert shown.raw.count(HIDE) == shown.raw.count(SHOW)
        assert "Traceback" not in shown.text
    assert states(shop) == ["queued"]


def test_an_effect_under_way_ends_before_the_run_is_suspended_and_is_not_repeated(shop: Path) -> None:
    with terminal(shop, *run_words("post")) as shown:
        shown.wait_for("running")
        shown.press(CTRL_C)
        assert shown.wait() == 130
        resumed = piped(shop, *offered(shown.text, GO_ON))
    assert resumed.returncode == 0
    assert json.loads(resumed.stdout) == {"answer": "sent to somebody"}
    assert "step.started" not in resumed.stderr


@pytest.mark.parametrize(("agent", "sign"), [("post", "running"), ("hogger", "hogging")])
def test_the_second_ctrl_c_leaves_at_once_and_the_run_can_be_taken_up(shop: Path, agent: str, sign: str) -> None:
    with terminal(shop, *run_words(agent)) as shown:
        shown.wait_for(sign)
        shown.press(CTRL_C)
        let_it_go_on(shown)
        shown.press(CTRL_C)
        assert shown.wait() == 130
        assert shown.raw.endswith("\n")
        assert shown.raw.rindex(SHOW) > shown.raw.rindex(HIDE)
        words = offered(shown.text, GO_ON)
    assert words[:2] == ["runs", "resume"]
    assert piped(shop, "runs", "cancel", words[2]).returncode == 0
    assert states(shop) == ["cancelled"]


def test_ctrl_c_before_there_is_a_run_leaves_nothing_behind(shop: Path) -> None:
    (shop / "late.py").write_text("import sys, time\nsys.stderr.write('loading\\n')\nsys.stderr.flush()\ntime.sleep(30)\n")
    with terminal(shop, "run", "x", "--app", "late:app") as shown:
        shown.wait_for("loading")
        shown.press(CTRL_C)
        assert shown.wait() == 130
        assert "Traceback" not in shown.text
    assert not (shop / "agent.db").exists()


def test_ctrl_c_while_the_goal_is_typed_leaves_nothing_behind(shop: Path) -> None:
    (shop / "agent-sdk.yaml").write_text("app: typed:app\n")
    (shop / "typed.py").write_text("import sys\nfrom shop import app\nsys.stderr.write('loaded\\n')\nsys.stderr.flush()\n")
    with terminal(shop, "run", "-", "--agent", "talker") as shown:
        shown.wait_for("loaded")
        let_it_go_on(shown)
        shown.press(CTRL_C)
        assert shown.wait() == 130
        assert "Traceback" not in shown.text
    assert not (shop / "agent.db").exists()


def test_sigterm_suspends_the_run_too(shop: Path) -> None:
    words = [sys.executable, "-c", MAIN, *run_words("napper")]
    process = subprocess.Popen(words, cwd=shop, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "first started" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert offered(told, GO_ON)[:2] == ["runs", "resume"]


def test_another_process_sees_who_holds_a_run_and_may_cancel_it(shop: Path) -> None:
    with terminal(shop, *run_words("napper")) as shown:
        shown.wait_for("running")
        run_id = json.loads(piped(shop, "runs", "list", "--json").stdout)["runs"][0]["run_id"]
        busy = piped(shop, "runs", "resume", run_id, "--app", "shop:app")
        assert (busy.returncode, busy.stdout) == (2, "")
        assert f"error: run {run_id} is held by own_" in busy.stderr
        cancelled = piped(shop, "runs", "cancel", run_id)
        assert (cancelled.returncode, cancelled.stderr) == (0, f"run {run_id}: cancelled\n")
        assert shown.wait() == 1
        assert "error: the run was cancelled [run_cancelled]" in shown.text


def test_a_reader_that_leaves_early_is_no_error(shop: Path) -> None:
    piped(shop, *run_words("prices"))
    read, write = os.pipe()
    words = [sys.executable, "-c", MAIN, "runs", "events", "run_"]
    process = subprocess.Popen(words, cwd=shop, env=surroundings(), stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    os.close(read)
    told = process.communicate(timeout=60)[1]
    assert (process.returncode, told) == (141, "")


def test_nobody_who_reads_the_news_stops_no_run(shop: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-c", MAIN, *run_words("prices")]
    process = subprocess.Popen(words, cwd=shop, env=surroundings(), stdout=subprocess.PIPE, stderr=write, text=True)
    os.close(write)
    assert json.loads(process.communicate(timeout=60)[0]) == {"total": 20}
    assert process.returncode == 0


def test_a_stdout_that_is_closed_stops_no_run(shop: Path) -> None:
    words = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", MAIN, *run_words("prices")]
    assert subprocess.run(words, cwd=shop, env=surroundings(), check=False, timeout=60).returncode == 0
    assert states(shop) == ["succeeded"]


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_what_only_tells_of_the_command_loads_only_what_it_needs(option: str) -> None:
    code = f"""
import sys
try:
    {MAIN.replace("; ", chr(10) + "    ")}
finally:
    print(sorted({{"agent_sdk.config", "agent_sdk.runtime", "aiohttp", "asyncio", "pydantic", "rich", "yaml"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code, option], env=surroundings(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
