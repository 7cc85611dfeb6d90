"""The process that answers HTTP, without torch: guard, queue, workers."""
