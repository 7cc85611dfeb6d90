"""What the set-up made, written down, so that --uninstall takes away that and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from scripts.installer.changes import Changes
from scripts.installer.plugin import Placed

NAME = "install.json"


@dataclass
class Record:
    """Everything outside the checkout that is ours.

    Args:
        plugins: one per GIMP profile.
        desktop_entry: the menu entry, or None.
        made_folders: folders that had to be made for the entry and the state, outermost first.
        is_state_ours: the state folder was made by us, so that it may go as a whole.
    """

    plugins: list[Placed] = field(default_factory=list)
    desktop_entry: Path | None = None
    made_folders: list[Path] = field(default_factory=list)
    is_state_ours: bool = False

    def plugin_in(self, folder: Path) -> Placed | None:
        return next((placed for placed in self.plugins if placed.folder == folder), None)

    def note_plugin(self, placed: Placed) -> None:
        self.plugins = [*(other for other in self.plugins if other.folder != placed.folder), placed]

    def note_folders(self, made: list[Path]) -> None:
        self.made_folders = list(dict.fromkeys((*self.made_folders, *made)))

    def write(self, changes: Changes, state_dir: Path) -> None:
        value = {
            "plugins": [
                {
                    "folder": str(placed.folder),
                    "files": list(placed.files),
                    "made_folders": [str(folder) for folder in placed.made_folders],
                }
                for placed in self.plugins
            ],
            "desktop_entry": str(self.desktop_entry) if self.desktop_entry else None,
            "made_folders": [str(folder) for folder in self.made_folders],
            "is_state_ours": self.is_state_ours,
        }
        changes.write(state_dir / NAME, json.dumps(value, indent=2).encode())


def read(state_dir: Path) -> Record:
    """The record of the last set-up; an empty one where there is none, or one that was cut off."""
    try:
        value = json.loads((state_dir / NAME).read_text("utf-8"))
        return Record(
            plugins=[
                Placed(Path(one["folder"]), tuple(one["files"]), tuple(map(Path, one["made_folders"])))
                for one in value["plugins"]
            ],
            desktop_entry=Path(value["desktop_entry"]) if value["desktop_entry"] else None,
            made_folders=[Path(folder) for folder in value["made_folders"]],
            is_state_ours=bool(value["is_state_ours"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Record()  # profiles are then searched for our plug-in
