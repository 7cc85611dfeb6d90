#!/usr/bin/env python3
"""Keeps the plug-in's translations: finds what is marked in its source, and compiles what translators wrote.

python3 scripts/translations.py             brings all languages up to date
python3 scripts/translations.py --add NAME  begins another one ("nl", "pt_BR")

A text counts as marked as an argument of ``_``, ``mark`` or ``ngettext`` of ``gimp_plugin.language``, as a title or a
help in ``gimp_plugin.settings``, or as what the engine's methods and their options are called.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gimp_plugin import language, settings  # noqa: E402
from server.worker import painter  # noqa: E402

MARKS = {"_": 1, "mark": 1, "ngettext": 2}  # with how many texts they take
CATALOGS = ROOT / "gimp_plugin" / "locale"
FILE = f"LC_MESSAGES/{language.DOMAIN}.po"
LIKENESS = 0.8  # from which on the translation of an older text is a hint for a newer one
WIDTH = 100
MO_MAGIC = 0x950412DE
# Two forms, as in most languages of Europe; a translator of another one changes the line.
HEADER = """Project-Id-Version: impasto
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
Language: {name}
Plural-Forms: nplurals=2; plural=({rule});
"""
RULES = {"fr": "n > 1", "pt_BR": "n > 1"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


@dataclass(frozen=True)
class Entry:
    """One text of the source, and its translation.

    Args:
        text: in English.
        many: its other form, where it counts something; "" = there is none.
        forms: of the translation, as many as the language has; empty texts are not translated yet.
        places: files that the text is in.
        is_fuzzy: the translation was made for a like text, and nobody has looked at it since.
    """

    text: str
    many: str = ""
    forms: tuple[str, ...] = ("",)
    places: tuple[str, ...] = ()
    is_fuzzy: bool = False

    @property
    def is_done(self) -> bool:
        return all(self.forms) and not self.is_fuzzy


# --- what is to be translated ---------------------------------------------------------------------------


def extract() -> list[Entry]:
    """Every text of the plug-in that a user reads, in the order of its files."""
    found: dict[str, Entry] = {}
    for place, text, many in (*_of_sources(), *_of_settings(), *_of_methods()):
        if text:
            old = found.get(text, Entry(text, many, ("", "") if many else ("",)))
            found[text] = replace(old, places=tuple(dict.fromkeys((*old.places, place))))
    return list(found.values())


def marked(source: str) -> Iterator[tuple[str, str]]:
    """The marked texts of a Python file, each with its other form or "".

    Raises:
        ValueError: what is marked is put together with values, so no catalog could hold it.
    """
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        given = call.args[: MARKS.get(name, 0)]
        if any(isinstance(text, ast.JoinedStr | ast.BinOp) for text in given):
            raise ValueError(f"line {call.lineno}: mark a whole sentence, and fill its values in by format().")
        texts = [text.value for text in given if isinstance(text, ast.Constant) and isinstance(text.value, str)]
        if texts:
            yield texts[0], texts[1] if len(texts) > 1 else ""


def _of_sources() -> Iterator[tuple[str, str, str]]:
    for path in sorted((ROOT / "gimp_plugin").rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        try:
            texts = list(marked(path.read_text("utf-8")))
        except ValueError as error:
            raise ValueError(f"{place}, {error}") from error
        yield from ((place, text, many) for text, many in texts)


def _of_settings() -> Iterator[tuple[str, str, str]]:
    for setting in settings.of("gimp"):
        for text in (setting.title, setting.help, *(entry.title for entry in setting.choices)):
            yield "gimp_plugin/settings.py", text, ""


def _of_methods() -> Iterator[tuple[str, str, str]]:
    for method in painter.catalog()["methods"]:
        yield "engine/methods", method["title"], ""
        for option in map(settings.option_of, method["options"]):
            yield from (("engine/methods", text, "") for text in (option.title, option.help))


# --- files of translators -------------------------------------------------------------------------------


def read_po(text: str) -> list[Entry]:
    """The entries of a .po file, its header (the entry of the empty text) first."""
    return [entry for block in text.split("\n\n") if (entry := _read_block(block)) is not None]


def _read_block(block: str) -> Entry | None:
    fields: dict[str, str] = {}
    places: list[str] = []
    current, is_fuzzy = "", False
    for line in block.splitlines():
        if line.startswith("#:"):
            places += line[2:].split()
        elif line.startswith("#,"):
            is_fuzzy = "fuzzy" in line
        elif line.startswith("msg"):
            current, _space, quoted = line.partition(" ")
            fields[current] = ast.literal_eval(quoted)
        elif line.startswith('"'):
            fields[current] += ast.literal_eval(line)
    if "msgid" not in fields:
        return None
    forms = tuple(value for name, value in fields.items() if name.startswith("msgstr"))
    return Entry(fields["msgid"], fields.get("msgid_plural", ""), forms, tuple(places), is_fuzzy)


def write_po(entries: Iterable[Entry]) -> str:
    """The inverse of ``read_po``: the same entries give the same bytes."""
    return "\n\n".join("\n".join(_block(entry)) for entry in entries) + "\n"


def _block(entry: Entry) -> Iterator[str]:
    yield from (f"#: {place}" for place in entry.places)
    if entry.is_fuzzy:
        yield "#, fuzzy, python-brace-format" if "{" in entry.text else "#, fuzzy"
    elif "{" in entry.text:
        yield "#, python-brace-format"
    yield from _quoted("msgid", entry.text)
    if not entry.many:
        yield from _quoted("msgstr", entry.forms[0])
        return
    yield from _quoted("msgid_plural", entry.many)
    for i, form in enumerate(entry.forms):
        yield from _quoted(f"msgstr[{i}]", form)


def _quoted(name: str, text: str) -> Iterator[str]:
    """A field; a long text on lines of its own."""
    pieces = [""]
    for word in text.replace("\n", "\n\0").replace(" ", " \0").removesuffix("\0").split("\0"):
        if pieces[-1] and (len(pieces[-1]) + len(word) > WIDTH or pieces[-1].endswith("\n")):
            pieces.append("")
        pieces[-1] += word
    lines = [f'"{"".join(_ESCAPES.get(letter, letter) for letter in piece)}"' for piece in pieces]
    yield f"{name} {lines[0]}" if len(lines) == 1 else f'{name} ""'
    yield from lines if len(lines) > 1 else ()


def merged(old: Iterable[Entry], found: Iterable[Entry]) -> list[Entry]:
    """What is found in the source, with the translations that there are; those of like texts as hints.

    Args:
        old: of a .po file, its header first.
        found: see ``extract``.
    """
    header, *rest = old
    known = {(entry.text, entry.many): entry for entry in rest}
    texts = [entry.text for entry in found]
    lost = {entry.text: entry for entry in rest if entry.text not in texts and all(entry.forms)}
    n_forms = next((len(entry.forms) for entry in rest if entry.many), 2)
    new = [header]
    for entry in found:
        same = known.get((entry.text, entry.many))
        like = [] if same else difflib.get_close_matches(entry.text, lost, 1, LIKENESS)
        if same is not None:
            new.append(replace(entry, forms=same.forms, is_fuzzy=same.is_fuzzy))
        elif like and bool(lost[like[0]].many) == bool(entry.many):
            new.append(replace(entry, forms=lost[like[0]].forms, is_fuzzy=True))
        else:
            new.append(replace(entry, forms=("",) * (n_forms if entry.many else 1)))
    return new


# --- what the plug-in reads -----------------------------------------------------------------------------


def compiled(entries: Iterable[Entry]) -> bytes:
    """A .mo file: a table of the texts and one of their translations, both sorted by the text's bytes."""
    pairs = []
    for entry in entries:
        if entry.is_done:
            text = f"{entry.text}\0{entry.many}" if entry.many else entry.text
            pairs.append((text.encode(), "\0".join(entry.forms).encode()))
    pairs.sort()
    head_bytes, row_bytes = 28, 8
    at = head_bytes + 2 * row_bytes * len(pairs)
    tables: list[bytes] = []
    body = bytearray()
    for column in range(2):
        for pair in pairs:
            tables.append(struct.pack("<II", len(pair[column]), at + len(body)))
            body += pair[column] + b"\0"
    n, first = len(pairs), head_bytes
    head = struct.pack("<7I", MO_MAGIC, 0, n, first, first + row_bytes * n, 0, at)
    return head + b"".join(tables) + bytes(body)


def begin(name: str) -> list[Entry]:
    """A new language: only its header."""
    return [Entry("", forms=(HEADER.format(name=name, rule=RULES.get(name, "n != 1")),))]


def update(catalogs: Path, names: Iterable[str]) -> Iterator[str]:
    """Write the files of some languages; a line about each."""
    found = extract()
    for name in names:
        path = catalogs / name / FILE
        entries = merged(read_po(path.read_text("utf-8")) if path.exists() else begin(name), found)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(write_po(entries), "utf-8", newline="\n")
        path.with_suffix(".mo").write_bytes(compiled(entries))
        n_open = sum(not entry.is_done for entry in entries)
        yield f"{name}: {len(found) - n_open} of {len(found)} texts are translated ({path})"


def main() -> int:
    """Bring all languages up to date.

    Returns:
        0 done, 1 something cannot be translated as it is marked.
    """
    parser = argparse.ArgumentParser(description="Keeps the translations of the plug-in.")
    parser.add_argument("--add", metavar="NAME", help='begin another language ("nl", "pt_BR")')
    options = parser.parse_args()
    names = {path.parent.parent.name for path in CATALOGS.glob(f"*/{FILE}")} | ({options.add} if options.add else set())
    try:
        for line in update(CATALOGS, sorted(names)):
            print(line)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
