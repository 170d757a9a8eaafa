"""The demo's agent: it answers questions about the Python sources below one root, with tools that read them."""

import sysconfig
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from agent_sdk.core.agent import Limits
from agent_sdk.runtime.agent import Agent
from agent_sdk.runtime.functions import RunInfo
from agent_sdk.testing.demo.reading import count_lines, list_packages, list_sources, measure_files, read_docstrings, read_imports
from agent_sdk.testing.demo.reckoning import (
    add_lines,
    count_documented,
    count_files,
    count_importers,
    gather_unreadable,
    group_by_package,
    name_importers,
    name_modules,
    rank,
    rank_packages,
    resolve_imports,
    select_undocumented,
    split,
)
from agent_sdk.testing.demo.source_tree import SourceTree
from agent_sdk.testing.demo.writing import write_list, write_report
from agent_sdk.tools.files import Files

MODEL = "openai:simulated"


def standard_library() -> Path:
    """Return the root of the standard library's sources on this machine."""
    return Path(sysconfig.get_path("stdlib"))


def demo_agent(root: Path, out: Path, *, model: str | None = MODEL) -> Agent[SourceTree, str]:
    """Return the agent for the sources below `root`; what it writes goes below `out`."""
    return Agent(
        name="librarian",
        version="1",
        model=model,
        instructions="You answer questions about the Python sources of one tree. Say in the report what was counted, and by which rules.",
        strategy="plan",
        deps=partial(_open_tree, SourceTree(root)),
        tools=[
            list_packages,
            list_sources,
            read_imports,
            read_docstrings,
            count_lines,
            measure_files,
            split,
            name_modules,
            resolve_imports,
            count_importers,
            name_importers,
            select_undocumented,
            count_documented,
            group_by_package,
            rank,
            add_lines,
            count_files,
            rank_packages,
            gather_unreadable,
            write_list,
            write_report,
            Files(out).write_file,
        ],
        limits=Limits(step_timeout_s=300.0),
    )


def _open_tree(tree: SourceTree, _run: RunInfo) -> nullcontext[SourceTree]:
    return nullcontext(tree)
