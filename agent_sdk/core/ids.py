"""The ids that name things: types of their own, so that one is never taken for another."""

from typing import NewType

TenantId = NewType("TenantId", str)
RunId = NewType("RunId", str)
SessionId = NewType("SessionId", str)
StepId = NewType("StepId", str)
"""An author's id; `t{turn}.{n}` for the n-th call of a loop's turn; `id[i]` under `for_each`.

A planner's own questions are named `t{turn}`, or `plan.{n}`, which no step of a plan can be.
"""
OwnerId = NewType("OwnerId", str)
"""One process that may hold leases."""
PrincipalId = NewType("PrincipalId", str)
ArtifactId = NewType("ArtifactId", str)
"""Lower-case hexadecimal SHA-256 of the artifact's bytes."""

DEFAULT_TENANT = TenantId("default")
