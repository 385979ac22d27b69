"""Small runs with real bytes in a real store."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from physlab import keys
from physlab.model import Artifact, Dag, Node, NodeRecord, NodeRun, RunRecord, RunRequest
from physlab.store import Store, open_store


def png(width: int = 60, height: int = 40, colour: str = "#0072b2") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(target, "PNG")
    return target.getvalue()


class Bench:
    """Builds a run node by node."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.nodes: list[Node] = []
        self.runs: list[NodeRun] = []
        self.records: dict[str, NodeRecord] = {}

    def artifact(self, name: str, data: bytes, role: str, media_type: str, caption: str = "") -> Artifact:
        sha256, size = self.store.blobs.put(data)
        return Artifact(sha256=sha256, name=name, media_type=media_type, size=size, role=role, caption=caption)

    def node(
        self,
        node_id: str,
        tool: str = "quantum",
        method: str | None = "solve",
        *,
        params: dict[str, Any] | None = None,
        fields: dict[str, Any] | None = None,
        artifacts: tuple[Artifact, ...] = (),
        status: str = "completed",
        **more: Any,
    ) -> NodeRecord:
        asked = params or {}
        kept = {name: value for name, value in asked.items() if not str(value).startswith("from:")}
        fields = fields or {}
        record = NodeRecord(
            **{
                "key": keys.digest([node_id, tool, kept]),
                "recipe": keys.digest([node_id]),
                "tool": tool,
                "method": method,
                "params": kept,
                "code": {"fingerprint": keys.digest(tool), "numpy": "2.4.6"},
                "seed": 7,
                "device": "cpu",
                "device_requested": "auto",
                "fields": fields,
                "field_digests": {name: keys.digest(value) for name, value in fields.items()},
                "artifacts": artifacts,
                "meta": {"mesh": [151, 151], "dtype": "float64"},
                "run_id": "20261120-100000-abc123",
                "node_id": node_id,
                "started_at": "2026-11-20T10:00:01.000+00:00",
                "duration_ms": 35.25,
                **more,
            }
        )
        digest = self.store.append("node", record.model_dump(mode="json"))
        self.nodes.append(Node(id=node_id, tool=tool, method=method, params=asked))
        self.runs.append(
            NodeRun(id=node_id, tool=tool, method=method, status=status, key=record.key, record=digest)  # type: ignore[arg-type]
        )
        self.records[node_id] = record
        return record

    def broken(self, node_id: str, status: str, error: dict[str, Any] | None = None, why: str = "") -> None:
        self.nodes.append(Node(id=node_id, tool="plot", method="function_2d"))
        self.runs.append(
            NodeRun(id=node_id, tool="plot", method="function_2d", status=status, error=error, why=why)  # type: ignore[arg-type]
        )

    def dag(self, **more: Any) -> Dag:
        return Dag(nodes=tuple(self.nodes), **{"title": "The 2p state of hydrogen", **more})

    def run(self, **more: Any) -> RunRecord:
        failed = any(node.status == "failed" for node in self.runs)
        return RunRecord(
            **{
                "run_id": "20261120-100000-abc123",
                "dag_id": "a8a6307bf0143363",
                "title": "The 2p state of hydrogen",
                "status": "failed" if failed else "completed",
                "started_at": "2026-11-20T10:00:00.000+00:00",
                "duration_ms": 1234.5,
                "request": RunRequest(),
                "nodes": tuple(self.runs),
                "meta": {"cache_hits": sum(node.cached for node in self.runs)},
                **more,
            }
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_store(tmp_path / "store") as store:
        yield Bench(store)


@pytest.fixture
def hydrogen(bench: Bench) -> Bench:
    """A state with figure and series, statistics of it, and an animation that was there before."""
    figure = "Radial distribution of hydrogen, n = 2, l = 1."
    rows = "r [a_0],P [1/a_0]\n" + "".join(f"{i / 10},{i / 1000}\n" for i in range(30))
    bench.node(
        "hydrogen_2p",
        params={"problem": "hydrogen", "n": 2, "l": 1},
        fields={"energy_ev": -3.4014232807, "radial": {"$array": _array(bench.store)}},
        artifacts=(
            bench.artifact("radial.png", png(), "static", "image/png", figure),
            bench.artifact(
                "radial.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "static", "image/svg+xml", figure
            ),
            bench.artifact("radial_thumbnail.png", png(20, 15), "thumbnail", "image/png"),
            bench.artifact("radial.csv", rows.encode(), "series", "text/csv", "The radial distribution."),
        ),
    )
    bench.node(
        "spread",
        "data",
        "statistics",
        params={"values": "from:hydrogen_2p.radial"},
        fields={"n": 1000, "mean": 0.125},
        inputs={"values": "ab" * 32},
        sources={"values": "from:hydrogen_2p.radial"},
    )
    bench.node(
        "film",
        "plot",
        "animation",
        params={"f": "sin(x - t)"},
        status="cached",
        artifacts=(
            bench.artifact("wave.mp4", b"\0\0\0 ftypisom", "animation", "video/mp4", "A running wave."),
            bench.artifact("wave_frames.png", png(64, 48), "thumbnail", "image/png"),
        ),
    )
    return bench


def _array(store: Store) -> dict[str, Any]:
    import numpy as np

    target = io.BytesIO()
    np.save(target, np.linspace(0, 1, 5))
    return {"sha256": store.blobs.put(target.getvalue())[0], "shape": [5], "dtype": "float64"}


@pytest.fixture
def text_of() -> Callable[[bytes], str]:
    def text_of(pdf: bytes) -> str:
        from pypdf import PdfReader

        return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())

    return text_of
