"""Benchmarks: what Driftline costs, as ratios taken in one run on one machine."""
