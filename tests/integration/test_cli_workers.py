"""The commands that decide, and those that leave runs to workers: what they do, what they say, and how they end."""

import json
import logging
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent_sdk.cli.main import app
from tests.integration.terminal import CTRL_C, MAIN, PATIENCE_S, offered, piped, surroundings, terminal

Command = Callable[..., Result]
APP = Path(__file__).with_name("waiting_app.py")
DOWN = "postgresql://me:s3cr3t-pw@127.0.0.1:1/runs"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory that holds the app."""
    shutil.copy(APP, tmp_path / "waiting.py")
    return tmp_path


@pytest.fixture
def command(place: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Command]:
    """Hand out the command, in that directory."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "path", list(sys.path))
    logger = logging.getLogger("agent_sdk")
    before = logger.level, list(logger.handlers), logger.propagate
    runner = CliRunner()
    yield lambda *words: runner.invoke(app, list(words))
    sys.modules.pop("waiting", None)
    logger.level, logger.handlers, logger.propagate = before
    logger.setLevel(before[0])


def begin(command: Command, agent: str, *words: str) -> str:
    """Start a run that comes to wait, and return its id."""
    result = command("run", "go", "--app", "waiting:app", "--agent", agent, *words)
    assert result.exit_code == 5, result.output
    return run_in(result.stderr)


def run_in(text: str) -> str:
    return next(line.removeprefix("run: ") for line in text.splitlines() if line.startswith("run: "))


def resumed(command: Command, run_id: str) -> object:
    """Go on with the run, and return its answer."""
    result = command("runs", "resume", run_id, "--app", "waiting:app", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["answer"]


def events(command: Command, run_id: str, kind: str) -> list[dict[str, object]]:
    lines = command("runs", "events", run_id, "--json").stdout.splitlines()
    return [record["data"] for record in map(json.loads, lines) if record["type"] == kind]


def test_a_run_that_waits_says_for_what_and_with_which_command_it_is_told(command: Command) -> None:
    result = command("run", "go", "--app", "waiting:app", "--agent", "payer")
    assert result.exit_code == 5
    assert (
        f'first wants to call pay with {{"amount": 500}} (it costs money, password=[redacted]); or deny, or edit: '
        f"agent-sdk runs approve {run_in(result.stderr)} first" in result.stderr
    )
    assert "hunter2" not in result.output


def test_what_waits_for_a_person_is_listed_with_the_commands_that_decide_it(command: Command) -> None:
    paying, asking, lost = begin(command, "payer"), begin(command, "asker"), begin(command, "sender")
    begin(command, "listener")
    listed = command("approvals")
    assert listed.exit_code == 0
    lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert lines.keys() == {paying, asking, lost}
    assert f"runs approve {paying} first" in lines[paying]
    assert 'pay with {"amount": 500}: it costs money' in lines[paying]
    assert f"asks: how many?: agent-sdk runs answer {asking} first ANSWER" in lines[asking]
    assert f"decide {lost} first done|retry|skip|fail" in lines[lost]
    assert "hunter2" not in listed.output
    records = json.loads(command("approvals", "--json").stdout)["waiting"]
    assert {(record["run_id"], record["kind"]) for record in records} == {
        (paying, "approval"),
        (asking, "question"),
        (lost, "unknown_effect"),
    }
    assert "hunter2" not in json.dumps(records)


def test_where_nothing_waits_that_is_said(command: Command) -> None:
    command("run", "go", "--app", "waiting:app", "--agent", "quick")
    assert command("approvals").stderr == "nothing waits for a person\n"


def test_an_approval_in_a_child_run_is_listed_and_lets_its_parent_go_on(command: Command) -> None:
    parent = begin(command, "boss")
    (waiting,) = json.loads(command("approvals", "--json").stdout)["waiting"]
    child = waiting["run_id"]
    assert child != parent
    assert command("runs", "approve", child, "first").exit_code == 0
    assert resumed(command, child) == "paid 500"
    assert resumed(command, parent) == "paid 500"


def test_a_run_is_put_into_the_queue_and_place_that_are_asked_for(command: Command) -> None:
    result = command("run", "go", "--app", "waiting:app", "--agent", "quick", "--queue", "night", "--priority", "7")
    (created,) = events(command, run_in(result.stderr), "run.created")
    assert (created["queue"], created["priority"]) == ("night", 7)
    refused = command("run", "go", "--app", "waiting:app", "--agent", "quick", "--priority", "5000")
    assert (refused.exit_code, "choose one from -1000 to 1000" in refused.stderr) == (2, True)


def test_what_no_tool_could_take_is_refused_at_once_where_the_settings_name_the_app(command: Command, place: Path) -> None:
    (place / "agent-sdk.yaml").write_text("app: waiting:app\n")
    run_id = begin(command, "payer")
    refused = command("runs", "edit", run_id, "first", '{"amount": "lots"}')
    assert refused.exit_code == 2
    assert "these arguments do not hold for pay" in refused.stderr
    (place / "agent-sdk.yaml").write_text("app: gone:app\n")
    assert command("runs", "approve", run_id, "first").exit_code == 0


def test_an_approved_call_is_made_in_the_name_of_who_approved_it(command: Command) -> None:
    run_id = begin(command, "payer")
    result = command("runs", "approve", run_id, "first", "--by", "ann")
    assert result.exit_code == 0
    assert result.stderr.startswith(
        "first is approved; that takes hold when a worker takes the run, or it is resumed: agent-sdk runs resume"
    )
    assert resumed(command, run_id) == "paid 500"
    assert [event["by"] for event in events(command, run_id, "approval.decided")] == ["ann"]


def test_who_decides_is_the_user_of_the_machine_where_nobody_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "berta")
    run_id = begin(command, "payer")
    command("runs", "approve", run_id, "first")
    resumed(command, run_id)
    assert [event["by"] for event in events(command, run_id, "approval.decided")] == ["berta"]


def test_a_denied_call_is_not_made(command: Command) -> None:
    run_id = begin(command, "payer")
    assert command("runs", "deny", run_id, "first", "--note", "too much").exit_code == 0
    result = command("runs", "resume", run_id, "--app", "waiting:app", "--json")
    assert result.exit_code == 1
    assert "too much" in json.loads(result.stdout)["failure"]["message"]
    assert events(command, run_id, "step.started") == []


def test_an_edited_call_is_made_with_the_new_arguments(command: Command) -> None:
    run_id = begin(command, "payer")
    assert command("runs", "edit", run_id, "first", '{"amount": 5}').exit_code == 0
    assert resumed(command, run_id) == "paid 5"


def test_a_question_is_answered_with_text_or_json(command: Command) -> None:
    run_id = begin(command, "asker")
    assert command("runs", "answer", run_id, "first", "7", "--json-answer").exit_code == 0
    assert resumed(command, run_id) == 7


def test_a_signal_brings_what_it_was_sent_with(command: Command) -> None:
    run_id = begin(command, "listener")
    assert command("runs", "signal", run_id, "paid", "--payload", "12", "--key", "invoice 1").exit_code == 0
    assert resumed(command, run_id) == 12


def test_an_unknown_effect_is_decided_once(command: Command) -> None:
    run_id = begin(command, "sender")
    assert command("runs", "decide", run_id, "first", "done", "--output", '"sent"').exit_code == 0
    again = command("runs", "decide", run_id, "first", "skip")
    assert again.exit_code == 2
    assert "is decided: done" in again.stderr
    assert resumed(command, run_id) == "sent"


@pytest.mark.parametrize(
    ("agent", "first", "second", "said"),
    [
        ("payer", ("approve",), ("deny",), "approve"),
        ("payer", ("deny",), ("edit", '{"amount": 5}'), "deny"),
        ("payer", ("edit", '{"amount": 5}'), ("approve",), "edit"),
        ("asker", ("answer", "7", "--json-answer"), ("answer", "8", "--json-answer"), "answered"),
    ],
    ids=["approved", "denied", "edited", "answered"],
)
def test_what_was_decided_is_not_decided_again(
    command: Command, agent: str, first: tuple[str, ...], second: tuple[str, ...], said: str
) -> None:
    run_id = begin(command, agent)
    assert command("runs", first[0], run_id, "first", *first[1:]).exit_code == 0
    again = command("runs", second[0], run_id, "first", *second[1:])
    assert again.exit_code == 2
    assert f"step 'first' of run {run_id} is decided: {said}" in again.stderr
    assert "hint: that takes hold when the run is resumed" in again.stderr


BAD: dict[str, tuple[str, tuple[str, ...], str]] = {
    "approve a step that is not there": ("payer", ("approve", "RUN", "second"), "these do: first"),
    "approve an empty step": ("payer", ("approve", "RUN", ""), "these do: first"),
    "approve no run": ("payer", ("approve", "", "first"), "the run's id is empty"),
    "deny a blank run": ("payer", ("deny", "  ", "first"), "the run's id is empty"),
    "answer an approval": ("payer", ("answer", "RUN", "first", "yes"), "waits for no answer"),
    "approve a question": ("asker", ("approve", "RUN", "first"), "waits for no approval"),
    "edit with no JSON": ("payer", ("edit", "RUN", "first", "{amount: 5}"), "the arguments: this is no JSON"),
    "edit with no object": ("payer", ("edit", "RUN", "first", "[5]"), "are no JSON object"),
    "answer with no JSON": ("asker", ("answer", "RUN", "first", "seven", "--json-answer"), "the answer: this is no JSON"),
    "signal with no JSON": ("listener", ("signal", "RUN", "paid", "--payload", "nan"), "--payload: this is no JSON"),
    "signal without a name": ("listener", ("signal", "RUN", ""), "a signal has a name"),
    "decide what is known": ("payer", ("decide", "RUN", "first", "done"), "nothing is undecided in this run"),
    "decide another step": ("sender", ("decide", "RUN", "second", "skip"), "undecided are: first"),
    "decide nonsense": ("sender", ("decide", "RUN", "first", "perhaps"), "it is one of done, retry, skip, fail"),
    "skip with an output": ("sender", ("decide", "RUN", "first", "skip", "--output", "1"), "goes with done alone"),
    "done with no JSON": ("sender", ("decide", "RUN", "first", "done", "--output", "sent"), "--output: this is no JSON"),
}


@pytest.mark.parametrize(("agent", "words", "told"), BAD.values(), ids=BAD)
def test_what_makes_no_sense_is_refused_with_a_hint_and_changes_nothing(
    command: Command, agent: str, words: tuple[str, ...], told: str
) -> None:
    run_id = begin(command, agent)
    before = command("runs", "events", run_id).stdout
    result = command("runs", *(run_id if word == "RUN" else word for word in words))
    assert result.exit_code == 2
    assert told in result.stderr
    assert "hint: " in result.stderr
    assert "Traceback" not in result.output
    assert command("runs", "events", run_id).stdout == before
    assert command("runs", "show", run_id).exit_code == 0


def test_effects_are_shown_with_what_is_known_of_them(command: Command) -> None:
    run_id = begin(command, "sender")
    result = command("effects", run_id)
    assert result.exit_code == 5
    cells = result.stdout.splitlines()[1].split()
    assert cells[:3] == ["first", "send", "once"]
    assert "unknown" in cells[3]
    assert f"nobody knows whether first was done; look, then decide: agent-sdk runs decide {run_id} first" in result.stderr
    command("runs", "decide", run_id, "first", "done", "--output", '"sent"', "--by", "ann")
    resumed(command, run_id)
    after = command("effects", run_id, "--json")
    assert after.exit_code == 0
    (effect,) = json.loads(after.stdout)["effects"]
    assert (effect["outcome"], effect["decided"], effect["by"], effect["attempts"]) == ("confirmed", "done", "ann", 1)


def test_a_run_without_effects_says_so(command: Command) -> None:
    run_id = run_in(command("run", "go", "--app", "waiting:app", "--agent", "quick").stderr)
    result = command("effects", run_id)
    assert (result.exit_code, result.stderr) == (0, f"run {run_id} has no effects\n")


def test_a_session_is_named_on_the_command_line(command: Command) -> None:
    for goal in ("hi", "again"):
        assert command("run", goal, "--app", "waiting:app", "--agent", "talker", "--session", "talk", "--quiet").stdout == "hello\n"
    newest = json.loads(command("runs", "list", "--json").stdout)["runs"][0]["run_id"]
    (created,) = events(command, newest, "run.created")
    assert created["session"] == "talk"
    assert created["previous"] is not None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("worker", "--app", "waiting:app", "--journal", "memory://"), "a journal in memory has no runs for a worker"),
        (("run", "x", "--app", "waiting:app", "--agent", "quick", "--on", "memory://"), "a journal in memory has no workers"),
        (("run", "x", "--app", "waiting:app", "--on", "sqlite:///a.db", "--journal", "sqlite:///a.db"), "name one journal each"),
        (("run", "x", "--app", "waiting:app", "--agent", "talker", "--session", ""), "name is empty"),
        (("worker", "--journal", "sqlite:///a.db"), "no app is named"),
        (("worker", "--app", "waiting:app", "--concurrency", "0"), "Invalid value"),
        (("worker", "--app", "waiting:app", "--grace", "-1"), "Invalid value"),
        (("approvals", "--journal", "sqlite:///none.db"), "there is no journal at none.db"),
        (("effects", "", "--journal", "sqlite:///none.db"), "there is no journal at none.db"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_no_worker_could_do_is_refused(command: Command, place: Path, words: tuple[str, ...], told: str) -> None:
    result = command(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (place / "none.db").exists()


OUTSIDE = [
    ("runs", "list", "--journal"),
    ("approvals", "--journal"),
    ("worker", "--app", "waiting:app", "--journal"),
    ("run", "x", "--app", "waiting:app", "--agent", "quick", "--on"),
]


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@pytest.mark.parametrize("words", OUTSIDE, ids=" ".join)
def test_a_password_is_never_shown_though_the_server_is_down(command: Command, words: tuple[str, ...], debug: bool) -> None:
    pytest.importorskip("asyncpg")
    result = command(*(["--debug"] if debug else []), *words, DOWN)
    assert result.exit_code == 4
    assert "s3cr3t-pw" not in result.output
    assert "127.0.0.1:1/runs" in result.stderr


@contextmanager
def worker(place: Path, *words: str) -> Generator[subprocess.Popen[str]]:
    """Start a worker on the journal there, and hand it out once it works."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "worker", "--app", "waiting:app", "--journal", "sqlite:///agent.db", *words],
        cwd=place,
        env=surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr is not None
            assert "working on sqlite:///agent.db" in next(line for line in process.stderr if "working" in line)
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def drained(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Let the worker end, and return its exit code and what it said."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said


def left(place: Path, agent: str, *words: str) -> subprocess.CompletedProcess[str]:
    return piped(place, "run", "go", "--app", "waiting:app", "--agent", agent, "--on", "sqlite:///agent.db", *words)


@pytest.mark.slow
def test_runs_are_left_to_a_worker_and_watched_and_the_worker_is_drained(place: Path) -> None:
    with worker(place) as process:
        done = left(place, "quick")
        assert (done.returncode, done.stdout) == (0, "awake\n")
        assert "succeeded after" in done.stderr
        waited = left(place, "waiter", "--quiet")
        assert waited.returncode == 0
        asked = left(place, "asker")
        assert asked.returncode == 5
        assert "asks: how many?" in asked.stderr
        assert piped(place, "runs", "answer", run_in(asked.stderr), "first", "7", "--json-answer").returncode == 0
        shown = piped(place, "runs", "events", run_in(asked.stderr), "--follow")
        assert "run.succeeded" in shown.stdout
        code, said = drained(process)
    assert code == 0
    assert re.search(r"draining: 0 runs have 25 s to end", said)
    assert re.search(r"drained; 5 runs were taken", said)


@pytest.mark.slow
def test_a_drained_worker_hands_back_what_takes_too_long(place: Path) -> None:
    with worker(place, "--grace", "1", "--concurrency", "2") as process, terminal(place, *watched("sleeper")) as shown:
        shown.wait_for("running")
        code, said = drained(process)
        assert code == 0
        assert "draining: 1 runs have 1 s to end" in said
        listed = json.loads(piped(place, "runs", "list", "--json").stdout)["runs"]
        assert [(row["state"], row["owner"]) for row in listed] == [("queued", None)]
        shown.press(CTRL_C)
        assert shown.wait() == 130


@pytest.mark.slow
def test_ctrl_c_looks_away_from_a_run_that_goes_on(place: Path) -> None:
    with worker(place), terminal(place, *watched("napper")) as shown:
        shown.wait_for("running")
        shown.press(CTRL_C)
        assert shown.wait() == 130
        words = offered(shown.text, "watch it again:")
        assert words[:2] == ["runs", "events"]
        followed = piped(place, *words)
        assert "run.succeeded" in followed.stdout


def watched(agent: str) -> list[str]:
    return ["run", "go", "--app", "waiting:app", "--agent", agent, "--on", "sqlite:///agent.db"]
