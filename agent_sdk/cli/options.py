"""The options that several commands share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

AppOption = Annotated[
    str | None, typer.Option("--app", metavar="MODULE:NAME", help="The App or Agent, found from the current directory. [setting: app]")
]
AgentOption = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Which agent of the app; not needed where it has one.")]
JournalOption = Annotated[
    str | None,
    typer.Option(
        "--journal", metavar="URL", help="Where runs are kept: sqlite:///agent.db, postgresql://host/db or memory://. [setting: journal]"
    ),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="A server that speaks the model's protocol, such as http://localhost:11434/v1. [setting: openai.base_url, ...]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone.")]
RunIdArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or any part of it that no other run has.")]
PlanFileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A plan in YAML, JSON or TOML.")]
