"""What the user reads, in the user's language. English until ``start`` is called, which only GIMP's process does.

Standard library only, and nothing of ours: the server loads the wire and the settings, and stays English.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import NullTranslations

DOMAIN = "impasto"
FOLDER = Path(__file__).parent / "locale"
WITHIN = "gimp_plugin/locale"  # the same, from plug-ins/impasto: GIMP wants it relative
_LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")


class _Speaker:
    """Holds the catalog of the language that is spoken; None = English."""

    catalog: NullTranslations | None = None


def start(environ: Mapping[str, str] = os.environ, folder: Path = FOLDER) -> None:
    """Speak the language that GIMP speaks; English where there is no catalog for it, or none that can be read.

    Args:
        environ: GIMP puts the language of its preferences into LANGUAGE.
        folder: of the catalogs.
    """
    import gettext  # noqa: PLC0415  (the server never needs it)

    try:
        _Speaker.catalog = gettext.translation(DOMAIN, folder, wanted(environ), fallback=True)
    except Exception:  # a damaged catalog, whatever is wrong with it: a filter in English is better than none
        _Speaker.catalog = None


def wanted(environ: Mapping[str, str], platform: str = sys.platform) -> list[str]:
    """The languages to look for, the best first: by the rules of the gettext that GIMP itself uses.

    Where the locale is "C", LANGUAGE does not count. On Windows and macOS no locale need be set.
    """
    locale = next(filter(None, (environ.get(name) for name in _LOCALES)), "")
    if locale.partition(".")[0] in ("C", "POSIX") or (not locale and platform not in ("win32", "darwin")):
        return []
    listed = [name for name in environ.get("LANGUAGE", "").split(":") if name]
    return [*listed, *filter(None, (locale or _of_windows(platform),))]


def _of_windows(platform: str) -> str:
    """The language of Windows itself, "de_DE"; "" elsewhere."""
    if platform != "win32" or sys.platform != "win32":
        return ""
    import ctypes  # noqa: PLC0415
    import locale  # noqa: PLC0415

    return locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")


def _(text: str) -> str:
    """A text in the user's language."""
    return _Speaker.catalog.gettext(text) if _Speaker.catalog is not None and text else text


def ngettext(one: str, many: str, n: int) -> str:
    """The right form of a text that counts something; which of the two English ones, where there is no other."""
    if _Speaker.catalog is None:
        return one if n == 1 else many
    return _Speaker.catalog.ngettext(one, many, n)


def mark(text: str) -> str:
    """The text itself: it is translated where it is shown, but found for the catalogs here."""
    return text
