"""A durable step of one run: how long it takes and how much it leaves, in a short run and in a long one."""

from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.measure import Scale
from benchmarks.peers.case import Case, Measure, Reading, Readings
from benchmarks.peers.child import crew_of
from benchmarks.peers.stores import Kind, Store
from benchmarks.peers.systems import DBOS, LANGGRAPH, LANGGRAPH_DELTAS, OURS, OURS_READ, System


def cases(scale: Scale, kinds: Sequence[Kind]) -> Iterator[Case]:
    lengths = scale.pick([20, 400, 1000], [3])
    for kind in kinds:
        measures = [
            Measure(f"{key} {steps}", f"{what}, {kind}, {steps:,} steps", unit)
            for key, what, unit in (("ms", "durable step", "ms"), ("kib", "durable step: size", "KiB"))
            for steps in lengths
        ]
        systems = (OURS, OURS_READ, LANGGRAPH, LANGGRAPH_DELTAS, DBOS)
        yield Case(f"steps {kind}", kind, measures, systems, partial(_sample, lengths))


def _sample(lengths: Sequence[int], system: System, store: Store, peers: str) -> Readings:
    """Measure each length by a run of its own, in one process that a short run has warmed up."""
    readings: dict[str, Reading] = {}
    with crew_of(system, peers) as crew:
        child = crew.start(store=store.url, role="steps")
        child.ask(do="run", steps=2)
        performed = 2
        for steps in lengths:
            before = store.size_kib()
            report = child.ask(do="run", steps=steps)
            performed += steps
            assert report["performed"] == performed, f"{system.name} performed {report['performed']} steps, and not {performed}"
            readings[f"ms {steps}"] = float(report["s"]) / steps * 1e3
            readings[f"kib {steps}"] = (store.size_kib() - before) / steps
    return readings
