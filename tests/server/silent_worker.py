"""A worker that never gets ready, as one is while it loads its weights; it dies with its supervisor."""

import sys

if __name__ == "__main__":
    sys.stdin.read()
