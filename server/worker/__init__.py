"""The process that holds torch: one job at a time, killed at any moment."""
