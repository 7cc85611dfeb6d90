
import json, os, sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parents[3])); sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from inside import files, stage
report = stage.Report(stage.FOLDER / "report.json"); engine = stage.Engine(); engine.start()
names = json.loads((stage.FOLDER / "odd.json").read_text())
small = [n for n in names if not n.startswith(("museum", "nikon", "panorama"))]
for i, (a, b) in enumerate(zip(small, small[1:] + small[:1])):
    report.play(f"{i} {a}", files.paint, a, b, engine)
for a in ("panorama_12000.jpg", "nikon_45mp.jpg", "museum_scan_180mp.jpg"):
    report.play(f"style {a}", files.paint, "photo.png", a, engine)
    report.play(f"layer {a}", files.paint, a, "style.jpg", engine)
engine.stop()
