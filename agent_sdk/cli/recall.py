"""The commands that go on with a run, as somebody would type them in the same directory."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.observability import redact_text

ANY_APP = "MODULE:APP"
"""Stands for the app where neither the command line nor the settings name one."""


def program() -> str:
    """Return how this command is called here: by its name, or as it was started where a shell does not find the name."""
    started = sys.argv[0]
    is_ours = Path(started).stem == "agent-sdk"
    return shlex.quote(started) if is_ours and shutil.which("agent-sdk") is None else "agent-sdk"


@frozen
class Recall:
    """What this command line named and the next one must name too; None where the settings say it. `program` is quoted for a shell.

    `base_url` is that of `vendor`: where that is not OpenAI, what performs the run takes it from the environment. So does every
    command a journal's URL with a password in it, which is never shown.
    """

    config: Path | None = None
    app: str | None = None
    journal: str | None = None
    base_url: str | None = None
    program: str = "agent-sdk"
    vendor: str = "openai"

    @property
    def is_kept(self) -> bool:
        """Say whether another process can find the run at all: a journal in memory goes with this one."""
        return self.journal is None or not self.journal.startswith("memory:")

    def resume(self, run_id: RunId) -> str:
        return self._command("resume", run_id, performs=True)

    def show(self, run_id: RunId) -> str:
        return self._command("show", run_id)

    def decide(self, run_id: RunId, step: StepId) -> str:
        return self._command("decide", run_id, step, "done|retry|skip|fail")

    def approve(self, run_id: RunId, step: StepId) -> str:
        return self._command("approve", run_id, step)

    def answer(self, run_id: RunId, step: StepId) -> str:
        return self._command("answer", run_id, step, "ANSWER")

    def signal(self, run_id: RunId, name: str) -> str:
        return self._command("signal", run_id, name)

    def wake(self, run_id: RunId, *options: str) -> str:
        return self._command("wake", run_id, *options)

    def budget(self, row: str) -> str:
        """Return the command that raises the budget of a row of the ledger, `{scope}:{unit}`; where there is none, what there is to do."""
        scope, _, unit = row.rpartition(":")
        if not unit:
            return "mend that, then resume the run"
        kind, _, name = scope.partition("/")
        options = [f"--{kind}", name] if name else []
        return self._line(["budget", "set", f"--{unit}", "AMOUNT", *options])

    def follow(self, run_id: RunId) -> str:
        return self._command("events", run_id, "--follow")

    def _command(self, name: str, *names: str, performs: bool = False) -> str:
        if not performs:
            return self._line(["runs", name, *names])
        app = _option("--app", self.app)
        if self.base_url is None or self.vendor == "openai":
            return self._line(["runs", name, *names], [*app, *_option("--base-url", self.base_url)])
        setting = f"AGENT_SDK__{self.vendor.upper()}__BASE_URL={shlex.quote(self.base_url)}"
        return f"{setting} {self._line(['runs', name, *names], app)}"

    def _line(self, names: Sequence[str], options: Sequence[str] = ()) -> str:
        words = [self.program, *_option("--config", self.config)]
        words += [*(word if "|" in word else shlex.quote(word) for word in names), *options]
        if self.journal is not None and without_secrets(self.journal) != self.journal:
            return " ".join([*words, "--journal", '"$AGENT_SDK__JOURNAL"'])
        return " ".join([*words, *_option("--journal", self.journal)])


def without_secrets(url: str) -> str:
    """Return a journal's URL as it may be shown; one without a password stays as it is."""
    parts = urlsplit(url)
    return redact_text(url) if parts.password is not None or "password" in parts.query else url


def _option(name: str, value: object) -> list[str]:
    return [] if value is None else [name, shlex.quote(str(value))]
