"""Hook of MkDocs: pages that lie outside ``docs/``, and folders in the navigation.

README.md is the site's first page. The other texts of the repository keep their path, under ``project/``. Links
between all of them work in the repository as well as on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "engine/**/*.md")
LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?!\w+:|#)(?P<target>[^)\s#]+)(?P<anchor>#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace each folder in the navigation by its pages, in the order of their names."""
    config.nav = [_unfold(entry) for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside ``docs/``."""
    for path in _outside():
        text = (ROOT / path).read_text("utf-8")
        files.append(File.generated(config, _on_site(path), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links from repository paths into paths of the site; one to what is no page becomes plain text."""
    here = page.file.src_uri
    home = posixpath.dirname(_in_repository(here))

    def turn(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(home, found["target"]))
        is_on_site = bool(target.startswith("docs/") and Path(target).suffix) or target in _outside()
        link = posixpath.relpath(_on_site(target), posixpath.dirname(here) or ".")
        return f"{found['text']}({link}{found['anchor'] or ''})" if is_on_site else found["text"].strip("[]")

    return LINK.sub(turn, markdown)


def _unfold(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {title: _unfold(value) for title, value in entry.items()}
    if isinstance(entry, list):
        return [_unfold(value) for value in entry]
    if not entry.endswith("/"):
        return entry
    folder = _in_repository(entry + "x.md").removesuffix("x.md")
    return [_on_site(path.relative_to(ROOT).as_posix()) for path in sorted((ROOT / folder).glob("*.md"))]


def _outside() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for pattern in OUTSIDE for path in ROOT.glob(pattern))


def _on_site(path: str) -> str:
    if path == "README.md":
        return "index.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"project/{path}"


def _in_repository(page: str) -> str:
    if page == "index.md":
        return "README.md"
    return page.removeprefix("project/") if page.startswith("project/") else f"docs/{page}"
