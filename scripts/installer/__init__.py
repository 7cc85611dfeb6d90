"""The set-up, behind install.py. Standard library only: it runs before anything is installed."""
