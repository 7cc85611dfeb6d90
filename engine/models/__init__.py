"""Weights: those that ship, those that others publish, and where they lie."""
