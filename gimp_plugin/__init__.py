"""The plug-in: GIMP's own Python loads it from plug-ins/impasto, the server its contract from here."""

from pathlib import Path

FOLDER = Path(__file__).parent.parent  # plug-ins/impasto, where install.py writes catalog.json and engine.json
