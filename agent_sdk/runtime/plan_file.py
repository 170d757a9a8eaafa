"""An author's plan in a YAML, JSON or TOML file: read, checked, and each finding with the line where it stands."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent_sdk.config import Document, Place, read_document
from agent_sdk.core.errors import PlanRefused
from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import DEFAULT_TENANT, RunId
from agent_sdk.core.plan import Plan
from agent_sdk.core.run import Run
from agent_sdk.planning import parse_plan
from agent_sdk.runtime.compose import make_checker
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.options import tool_name


@frozen
class PlanFile:
    """A file and the plan in it; `plan` is None where the file has not the shape of one, and `shape` says why."""

    document: Document
    plan: Plan | None
    shape: tuple[Finding, ...] = ()

    def check(self, agent: AgentDeclaration[Any, Any]) -> tuple[Finding, ...]:
        """Return all that is wrong with the plan for this agent's tools and output, in the order of the file."""
        if self.plan is None:
            return self.shape
        checker = make_checker(agent, {tool_name(tool): tool for tool in agent.tools})
        return tuple(checker.plan(self.plan, Run(DEFAULT_TENANT, RunId(""), agent.spec.limits)))

    def place_of(self, finding: Finding) -> Place | None:
        """Return where in the file the finding stands; None for TOML, whose lines are not known."""
        return self.document.place_of(finding.path)

    def located(self, finding: Finding) -> Finding:
        """Return the finding with file and line in front of its path."""
        place = self.place_of(finding)
        where = f"{self.document.path}:{place}" if place is not None else str(self.document.path)
        return replace(finding, path=f"{where}: {finding.path}")


def read_plan(path: Path) -> PlanFile:
    """Read a plan's file; whether it holds is said by `PlanFile.check`.

    Raises:
        DocumentError: the file is no readable YAML, JSON or TOML.
    """
    document = read_document(path)
    plan, findings = parse_plan(document.value)
    return PlanFile(document, plan, findings)


def load_plan(path: Path | str) -> Plan:
    """Return the plan in a file, for `Agent(strategy="fixed", plan=...)`.

    Raises:
        DocumentError: the file is no readable YAML, JSON or TOML.
        PlanRefused: what it holds has not the shape of a plan.
    """
    file = read_plan(Path(path))
    if file.plan is None:
        raise PlanRefused([file.located(finding) for finding in file.shape])
    return file.plan
