"""How much memory this process holds, and held at most."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def rss_mib() -> float:
    return _kib("VmRSS") / 1024


def peak_kib() -> float:
    return _kib("VmHWM")


def _kib(name: str) -> float:
    """Ask Linux; elsewhere only the peak is known, in bytes on macOS. (On Linux `ru_maxrss` is no answer: a child inherits it.)"""
    if _STATUS.exists():
        return float(next(line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith(name)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform == "darwin" else float(peak)
