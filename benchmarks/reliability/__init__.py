"""What the engine's server does when things go wrong, in figures: ``python -m benchmarks.reliability``."""
