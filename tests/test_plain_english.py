"""The texts are plain English: short sentences, no stilted phrases, lines that fit a window, short decisions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

ROOT = Path(__file__).resolve().parent.parent
MEAN_WORDS = 18
MAX_WORDS = 30
MAX_COLUMNS = 120
MAX_DECISION_LINES = 25
STILTED = ("of which", "at hand", "anew", "whoever", "in place of", "give way", "gives way", "what is seen")


def texts() -> list[Path]:
    """Every text that a reader of the repository meets first."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def sentences(markdown: str) -> Iterator[str]:
    """The sentences of a text: without code, tables, headings and link targets; a piece of code is one word."""
    markdown = re.sub(r"^( *)```.*?^\1```", "", markdown, flags=re.M | re.S)
    markdown = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", markdown)
    markdown = re.sub(r"\]\([^)]*\)", "]", markdown)
    markdown = re.sub(r"`[^`]+`", "Code", markdown)
    markdown = re.sub(r"^ *(\|.*|#+ .*|---.*)$", "", markdown, flags=re.M)
    for block in re.split(r"\n\s*\n|(?:^|\n) *(?:[-*]|\d+\.) ", markdown):
        for sentence in re.split(r"(?<=[.!?])(?<! al\.)[\])\"*_]*\s+(?=[\[(\"*_]*[A-Z0-9])", " ".join(block.split())):
            if n_words(sentence):
                yield sentence


def n_words(sentence: str) -> int:
    return sum(any(letter.isalnum() for letter in word) for word in sentence.split())


def prose(markdown: str) -> str:
    return "\n".join(sentences(markdown)).lower()


def test_sentences_are_counted_as_a_reader_would() -> None:
    text = (
        "# A title\nOne two `three four` [five](six.md). Seven, e.g. eight! `Nine` ten\n1. Li et al. 2017\n| a | b |\n"
    )
    assert [n_words(sentence) for sentence in sentences(text + "```\ncode. Code.\n```\n")] == [4, 3, 2, 4]


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_mean_sentence_is_short(path: Path) -> None:
    assert mean(map(n_words, sentences(path.read_text("utf-8")))) <= MEAN_WORDS


def test_no_sentence_is_long() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {n_words(sentence)} words: {sentence}"
        for path in texts()
        for sentence in sentences(path.read_text("utf-8"))
        if n_words(sentence) > MAX_WORDS
    ]
    assert not found, "\n".join(found)


def test_no_phrase_is_stilted() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {phrase}"
        for path in texts()
        for phrase in STILTED
        if re.search(rf"\b{phrase}\b", prose(path.read_text("utf-8")))
    ]
    assert not found, "\n".join(found)


def test_lines_fit_a_window() -> None:
    """Rows of tables cannot be wrapped."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > MAX_COLUMNS and not line.lstrip().startswith("|")
    ]
    assert not found, "\n".join(found)


def test_a_decision_is_short_and_says_what_and_why() -> None:
    found = []
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        text = path.read_text("utf-8")
        if (n_lines := len(text.splitlines())) > MAX_DECISION_LINES:
            found.append(f"{path.name}: {n_lines} lines")
        found += [
            f"{path.name}: no {part}" for part in ("Question", "Decision", "Reasons", "Consequences")
            if f"**{part}.**" not in text
        ]  # fmt: skip
    assert not found, "\n".join(found)
