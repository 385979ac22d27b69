"""A long film in one piece and in parts, on this machine's workers: wall, CPU, and whether the bytes are the same.

python bench/film.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from workload import in_own_process

CONTOURS = {"frame_expr": "sin(x - t)*cos(y + 0.3*t)", "t_range": [0, 10, 240], "renderer": "contour"}
VOLUME = {"f": "exp(-x**2 - y**2 - z**2)*cos(3*x*z)", "x": [-2, 2, 100], "y": [-2, 2, 100], "z": [-2, 2, 160],
          "mode": "isosurface", "iso_level": 0.2, "dpi": 180}  # fmt: skip
FILMS: dict[str, tuple[str, dict[str, Any]]] = {
    "240 frames of contours": ("animation", CONTOURS),
    "the same as WebM": ("animation", {**CONTOURS, "format": "webm"}),
    "160 slices of a volume": ("volume_3d", VOLUME),
}


def draw(name: str, split_s: float) -> None:
    """Run one node on two fresh workers and print the figures."""
    from physlab import service
    from physlab.lab import Lab
    from physlab.settings import load_settings

    method, params = FILMS[name]
    only_film = {"static": False, "series": False, "animation": True}
    spec = [
        {
            "id": "film",
            "tool": "plot",
            "method": method,
            "params": {**params, "allow_large": True},
            "visual_outputs": only_film,
        }
    ]
    with tempfile.TemporaryDirectory() as folder:
        with Lab(load_settings(overrides={"home": folder, "sites": {"local": {"workers": 2}}})) as lab:
            request = lab.settings.run.request(parallelism=2, split_s=split_s)
            record = service.carry_out(lab, lab.read(spec, Path(folder)), request, service.Conductor())
            assert record.status == "completed", record.nodes
            made = lab.store.record(str(record.nodes[0].record))
        film = next(item["sha256"] for item in made["artifacts"] if item["role"] == "animation")
        parts = len(made["meta"].get("parts", [None]))
        wall_s = made["duration_ms"] / 1e3
        print(json.dumps({"wall_s": wall_s, "cpu_s": made["meta"]["cpu_s"], "parts": parts, "sha256": film}))


def main() -> None:
    """Draw each film both ways and print what it took."""
    for name in FILMS:
        whole, parts = (in_own_process(__file__, name, split_s) for split_s in ("1000", "8"))
        same = "the same bytes" if whole["sha256"] == parts["sha256"] else "OTHER BYTES"
        print(
            f"{name}: in one piece {whole['wall_s']:.1f} s ({whole['cpu_s']:.1f} s CPU), in {parts['parts']} parts "
            f"{parts['wall_s']:.1f} s ({parts['cpu_s']:.1f} s CPU), {same}"
        )


if __name__ == "__main__":
    draw(sys.argv[1], float(sys.argv[2])) if len(sys.argv) > 1 else main()
