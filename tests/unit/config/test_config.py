"""The package as a whole: what it promises, and what its import costs."""

import subprocess
import sys

import agent_sdk.config


def test_every_public_name_can_be_had() -> None:
    assert [name for name in agent_sdk.config.__all__ if not hasattr(agent_sdk.config, name)] == []


def test_the_import_loads_no_reader() -> None:
    program = "import sys, agent_sdk.config; print({'yaml', 'dotenv', 'pydantic_settings'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
