"""What a training asks of paintings."""
