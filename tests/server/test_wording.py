"""What people are told has no path of this computer in it, and nothing that commands their terminal."""

from __future__ import annotations

import pytest

from server.wording import printable, without_paths

PATHS = {
    "No network in /home/x/.local/share/impasto/models (it is empty).": "No network in models (it is empty).",
    "'/etc/passwd' is damaged": "'passwd' is damaged",
    'open "/root/a b"': 'open "a b"',
    r"C:\Users\x\secret.png is a folder": "secret.png is a folder",
    "give ../../x.pth or ~/y.pth": "give x.pth or y.pth",
    "/": "a folder",
    "see ./a/b/, then go": "see b, then go",
    r"\\server\share\x.png cannot be read": "x.png cannot be read",
}
INNOCENT = [
    "Open http://127.0.0.1:8000/ui/ in a browser.",
    "statistic must be one of gram, linear, not 1/2 and/or 3.",
    "The picture is 10 x 10 pixels; it is 0.5 of it.",
    "a network (.safetensors, .pth) or `impasto train unpaired A_DIR B_DIR --kind x`",
]


@pytest.mark.parametrize("sentence", PATHS)
def test_a_path_is_cut_down_to_its_last_part(sentence: str) -> None:
    assert without_paths(sentence) == PATHS[sentence]


@pytest.mark.parametrize("sentence", INNOCENT)
def test_what_is_no_path_stays_as_it_is(sentence: str) -> None:
    assert without_paths(sentence) == sentence


def test_a_strangers_text_cannot_command_a_terminal() -> None:
    said = printable("\x1b]0;owned\x07\x1b[2J\r\nNot Found\x00 \x9b31m \u202egnp.exe \ud800" + "x" * 1000)
    assert all(sign.isprintable() for sign in said) and "\x1b" not in said and len(said) < 250
    assert "Not Found" in said
    assert printable("Grüße, 漢字!") == "Grüße, 漢字!"
