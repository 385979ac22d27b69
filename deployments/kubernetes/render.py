"""Writes `manifests/` from the chart, with Helm's own engine: `make manifests`. A test compares them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAME = "physlab"
HEADER = "# Written by `make manifests` from ../chart; change it there.\n"


def rendered(values: dict[str, Any], namespace: str = NAME) -> dict[str, str]:
    """Return what Helm makes of the chart: the text of each template that is not empty, by its file name.

    Args:
        values: What differs from the chart's `values.yaml`.
        namespace: Where it would be installed.
    """
    import helm_python

    with helm_python.Chart.load(HERE / "chart") as chart:
        chart.validate_schema(values)
        made = chart.render(values, name=NAME, namespace=namespace)
    return {Path(name).name: text.strip() + "\n" for name, text in made.items() if text.strip()}


def main() -> None:
    """Write the manifests; with `--check`, only say whether they are up to date."""
    folder = HERE / "manifests"
    made = {name: HEADER + text for name, text in rendered({"namespace": {"create": True}}).items()}
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}
    there.pop("kustomization.yaml", None)
    stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    if "--check" in sys.argv:
        sys.exit(f"Out of date, run `make manifests`: {', '.join(stale)}" if stale else 0)
    for name in stale:
        if name in made:
            (folder / name).write_text(made[name], encoding="utf-8")
        else:
            (folder / name).unlink()


if __name__ == "__main__":
    main()
