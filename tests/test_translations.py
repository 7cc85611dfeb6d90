"""What a GIMP user reads is there in German and in French, whole and right in form; where nothing is, it is English."""

from __future__ import annotations

import gettext
import io
import re
import string
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gimp_plugin import language, settings
from gimp_plugin.choices import advice, arguments, catalog, options
from gimp_plugin.choices.remaining import Remaining
from gimp_plugin.wire import WireError
from scripts import translations
from scripts.translations import Entry

NAMES = ("de", "fr")
GERMAN = {"LANG": "de_DE.UTF-8"}
# Letters that GIMP's own buttons have in the window: Reset and Cancel; in translations it counts those of Load Saved
# Settings, Save Settings and OK, too. In English ours were there first.
OF_GIMP = {"": "rc", "de": "zcgso", "fr": "rncsv"}
IN_THE_WINDOW = ("Click the _object", "_Paint", "_More", "Paint o_ver it")


def entries_of(name: str) -> list[Entry]:
    return translations.read_po((translations.CATALOGS / name / translations.FILE).read_text("utf-8"))


def mo_of(name: str) -> bytes:
    return (translations.CATALOGS / name / translations.FILE).with_suffix(".mo").read_bytes()


@pytest.fixture
def speaks() -> Iterator[None]:
    """English again afterwards, for all other tests."""
    yield
    language.start({})


@pytest.mark.parametrize("name", NAMES)
def test_every_text_of_the_plug_in_is_translated(name: str) -> None:
    header, *entries = entries_of(name)
    assert header.text == ""
    assert [(e.text, e.many, e.places) for e in entries] == [
        (e.text, e.many, e.places) for e in translations.extract()
    ], "run scripts/translations.py, and translate what is new"
    assert [entry.text for entry in entries if not entry.is_done] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_translation_has_the_same_places_to_fill_in_as_the_text(name: str) -> None:
    for entry in entries_of(name)[1:]:
        for form in entry.forms:
            assert fields_of(form) == fields_of(entry.text), form
            assert len(form) - len(form.lstrip()) == len(entry.text) - len(entry.text.lstrip()), form
            assert len(form) - len(form.rstrip()) == len(entry.text) - len(entry.text.rstrip()), form
            assert form.count("\n") == entry.text.count("\n"), form
            assert len(keys_of(form)) == len(keys_of(entry.text)), form
            assert form.replace("\u00a0", "").replace("…", "...").endswith(".") == entry.text.endswith("."), form


def fields_of(text: str) -> Counter[tuple[str | None, str | None, str | None]]:
    return Counter(field[1:] for field in string.Formatter().parse(text) if field[1] is not None)


def keys_of(text: str) -> list[str]:
    """The letters after "_": keys in a window or a menu. Names like LC_ALL have none."""
    if text.isupper() or re.search(r"[A-Z]_[A-Z]", text):
        return []
    return [letter.lower() for letter in re.findall(r"_(\w)", text)]


@pytest.mark.parametrize("name", ["", *NAMES])
def test_no_two_controls_of_the_window_have_the_same_key(name: str) -> None:
    known = {entry.text: entry.forms[0] for entry in entries_of(name or "de")[1:]}
    shown = [s.title for s in settings.of("gimp") if s.name != "change-painting"] + list(IN_THE_WINDOW)
    letters = [key for title in shown for key in keys_of(known[title] if name else title)]
    twice = {letter for letter, n in Counter([*letters, *OF_GIMP[name], "1"]).items() if n > 1}
    assert not twice, twice


@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_catalog_is_that_of_the_translators_file(name: str) -> None:
    entries = entries_of(name)
    assert mo_of(name) == translations.compiled(entries)
    read = gettext.GNUTranslations(io.BytesIO(mo_of(name)))  # the standard library's reader is the oracle
    for entry in entries[1:]:
        assert read.gettext(entry.text) == entry.forms[0] or entry.many
        if entry.many:
            assert (read.ngettext(entry.text, entry.many, 1), read.ngettext(entry.text, entry.many, 2)) == entry.forms


@pytest.mark.parametrize("name", NAMES)
def test_writing_what_was_read_changes_nothing(name: str) -> None:
    text = (translations.CATALOGS / name / translations.FILE).read_text("utf-8")
    entries = translations.read_po(text)
    assert translations.write_po(entries) == text
    assert translations.merged(entries, translations.extract()) == entries


def test_no_is_one_in_french_and_many_in_german() -> None:
    read = {name: gettext.GNUTranslations(io.BytesIO(mo_of(name))) for name in NAMES}
    (entry,) = (entry for entry in translations.extract() if entry.many)
    assert "Bilder" in read["de"].ngettext(entry.text, entry.many, 0)
    assert "images" not in read["fr"].ngettext(entry.text, entry.many, 0)


def test_what_is_marked_is_found_and_what_is_put_together_is_refused() -> None:
    source = 'a = _("One")\nb = mark("Two " "three")\nc = ngettext("{n} dog", "{n} dogs", n)\n_(name)\nother("no")\n'
    assert list(translations.marked(source)) == [("One", ""), ("Two three", ""), ("{n} dog", "{n} dogs")]
    with pytest.raises(ValueError, match="line 1: mark a whole sentence"):
        list(translations.marked('_(f"The layer {name}")\n'))


def test_a_changed_text_keeps_its_old_translation_as_a_hint_that_nobody_reads() -> None:
    old = [Entry("", forms=("Language: de\n",)), Entry("Choose a layer.", forms=("Wählen Sie eine Ebene.",))]
    new = translations.merged(old, [Entry("Choose one layer."), Entry("Quite another thing")])
    assert new[1] == replace(new[1], forms=("Wählen Sie eine Ebene.",), is_fuzzy=True)
    assert new[2].forms == ("",)
    assert "#, fuzzy" in translations.write_po(new)
    assert gettext.GNUTranslations(io.BytesIO(translations.compiled(new))).gettext(new[1].text) == new[1].text


@pytest.mark.parametrize(
    ("environ", "platform", "wanted"),
    [
        ({"LANG": "de_DE.UTF-8"}, "linux", ["de_DE.UTF-8"]),
        ({"LANGUAGE": "fr:de", "LANG": "en_US.UTF-8"}, "linux", ["fr", "de", "en_US.UTF-8"]),
        ({"LC_ALL": "fr_FR", "LANG": "de_DE"}, "linux", ["fr_FR"]),
        ({"LC_MESSAGES": "fr_FR", "LANG": "de_DE"}, "linux", ["fr_FR"]),
        ({"LANGUAGE": "de", "LANG": "C"}, "linux", []),  # so it is in GIMP itself
        ({"LANGUAGE": "de", "LC_ALL": "C.UTF-8", "LANG": "de_DE"}, "linux", []),
        ({"LANGUAGE": "de"}, "linux", []),
        ({"LANGUAGE": "de"}, "win32", ["de"]),
        ({"LANGUAGE": "de"}, "darwin", ["de"]),
        ({}, "linux", []),
    ],
)
def test_the_language_is_found_as_gimp_finds_it(environ: dict[str, str], platform: str, wanted: list[str]) -> None:
    assert language.wanted(environ, platform) == wanted


def test_nothing_is_translated_until_gimp_has_asked_for_it() -> None:
    assert language._("_Paint") == "_Paint" and language.ngettext("one", "many", 2) == "many"


def test_sentences_come_in_the_users_language_with_their_values(speaks: None) -> None:
    language.start(GERMAN)
    with pytest.raises(WireError, match="Die Option .* hat nicht die Form Name=Wert"):
        options.read("detail")
    (number,) = (setting for setting in settings.SETTINGS if setting.name == "strength")
    assert settings.fault(number, 3) == "muss zwischen 0 und 1 liegen, nicht bei 3"
    assert language._("") == ""  # and not the catalog's header
    watch = Remaining(0.0)
    assert watch.told(0.5, "Malen", 10.0) == "Malen (noch etwa 10 s)"
    choices = arguments.Choices({s.name: s.default for s in settings.of("gimp")} | {"style-source": "layer"})
    said = advice.advise(choices, catalog.BUILT_IN)
    assert said.sentences == ("Es ist keine Stil-Ebene gewählt: Wählen Sie eine, oder ein Gemälde oder eine Datei.",)


@pytest.mark.parametrize("damage", [b"", b"\xde\x12\x04\x95", b"not a catalog"])
def test_a_language_that_is_not_there_or_damaged_is_english(speaks: None, tmp_path: Path, damage: bytes) -> None:
    language.start({"LANG": "eo_XX"})
    assert language._("_Paint") == "_Paint"
    file = tmp_path / "de" / "LC_MESSAGES" / "impasto.mo"
    file.parent.mkdir(parents=True)
    file.write_bytes(damage)
    language.start(GERMAN, tmp_path)
    assert language._("_Paint") == "_Paint"


def test_another_language_begins_with_every_text_open(tmp_path: Path) -> None:
    (line,) = translations.update(tmp_path, ["nl"])
    n = len(translations.extract())
    assert line.startswith(f"nl: 0 of {n} texts")
    entries = translations.read_po((tmp_path / "nl" / translations.FILE).read_text("utf-8"))
    assert len(entries) == n + 1 and not any(entry.is_done for entry in entries[1:])
