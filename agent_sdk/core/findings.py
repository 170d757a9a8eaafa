"""What a check found wrong: data for the model, the terminal and the journal alike."""

from collections.abc import Iterable

from agent_sdk.core.frozen import frozen


@frozen
class Finding:
    """One thing that does not hold.

    `code` is stable; `path` is a JSON path such as `$.steps[2].args.limit`; `expected` and `found` are short texts, or None where they
    say nothing.
    """

    code: str
    path: str
    message: str
    hint: str | None = None
    expected: str | None = None
    found: str | None = None


def render_findings(findings: Iterable[Finding]) -> str:
    """Return one line a finding, as the model and the terminal read it."""
    return "\n".join(_line(finding) for finding in findings)


def _line(finding: Finding) -> str:
    parts = [f"- {finding.path}: {finding.message} [{finding.code}]"]
    if finding.expected is not None:
        parts.append(f"expected {finding.expected}")
    if finding.found is not None:
        parts.append(f"found {finding.found}")
    if finding.hint is not None:
        parts.append(f"hint: {finding.hint}")
    return "; ".join(parts)
