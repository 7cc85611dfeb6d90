"""Feature networks behind one interface, and statistics of what they see."""
