"""This package measured beside bare loops: `python -m benchmarks`."""
