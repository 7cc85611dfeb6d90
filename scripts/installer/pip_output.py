"""Reads pip's output: what it is doing just now, and in one sentence why it failed."""

from __future__ import annotations

import re

_DOWNLOAD = re.compile(r"Downloading (?:\S*/)?([\w.]+?)-(\d[^-]*)\S*?(?: \((.+)\))?$")
_SHARE = re.compile(r"Progress (\d+) of (\d+)$")


def describe(line: str) -> str | None:
    """What a line of pip's output means to a user, or None for lines that mean nothing to them."""
    line = line.strip()
    share = _SHARE.match(line)
    if share and int(share[2]):
        return f"{int(share[1]) * 100 // int(share[2])} %"
    download = _DOWNLOAD.match(line)
    if download:
        return f"downloading {download[1]} {download[2]}" + (f" ({download[3]})" if download[3] else "")
    if line.startswith("Collecting "):
        return "looking for " + re.split(r"[\s<>=!~;\[]", line.removeprefix("Collecting "))[0]
    if line.startswith("Installing collected packages: "):
        n_packages = line.count(",") + 1
        return f"unpacking {n_packages} package{'s' if n_packages > 1 else ''}"
    if line.startswith(("Installing build dependencies", "Preparing editable metadata", "Building editable")):
        return "preparing the engine"
    return None


def is_share(text: str) -> bool:
    """Whether a description tells how far a download is."""
    return text.endswith(" %")


def is_large_download(text: str) -> bool:
    """Whether a description tells of a download that deserves a line of its own."""
    return text.startswith("downloading ") and re.search(r"\((\d{2,}(\.\d+)? MB|[\d.]+ GB)\)", text) is not None


_CAUSES = (
    (r"No space left on device|Errno 28|not enough space", "The disk is full. Make room and run this again."),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError",
        "The package index's certificate is not trusted here, mostly because of a proxy or a wrong clock: "
        "set the clock or give pip the proxy's certificate (pip config set global.cert FILE), and try again.",
    ),
    (
        r"name resolution|getaddrinfo failed|nodename nor servname|NewConnectionError|"
        r"Failed to establish a new connection|Network is unreachable|"
        r"Max retries exceeded|ConnectTimeout|ProxyError|Connection refused",
        "The package index could not be reached. Connect to the network (or set pip's proxy), and run this again.",
    ),
    (
        r"Read timed out|ReadTimeout|IncompleteRead|Connection broken|Connection reset|ConnectionResetError",
        "The download broke off. Run this again: what is complete is kept.",
    ),
    (
        r"(No matching distribution found|Could not find a version).*\btorch",
        "There is no PyTorch for this Python on this system. Install a 64-bit Python from 3.10 to 3.14, and "
        "run this again with it.",
    ),
    (r"THESE PACKAGES DO NOT MATCH THE HASHES", "A download was damaged. Run this again."),
    (
        r"Permission denied|Errno 13",
        "A folder cannot be written. Run this from a folder that belongs to you.",
    ),
)


def explain_failure(output: str) -> str:
    """One sentence about why pip failed, and what to do.

    Args:
        output: pip's whole output.
    """
    for pattern, sentence in _CAUSES:
        if re.search(pattern, output):
            return sentence
    errors = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    return f"pip says: {errors[-1].removeprefix('ERROR: ')}" if errors else "pip failed without an error message."
