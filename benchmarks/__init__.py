"""Speed claims of the laboratory, each measured beside its baseline in one run: ``python -m benchmarks``."""
