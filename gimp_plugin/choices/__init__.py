"""What can be chosen, what was written, and what is to be said of it. Standard library only."""
