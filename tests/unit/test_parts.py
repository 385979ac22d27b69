"""Nodes done in parts: the result of one piece, a failure that costs one part, and nothing made twice."""

from __future__ import annotations

from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import WorkerLostError
from physlab.model import NodeRecord, Resources, Share, Visuals, Work, WorkResult
from physlab.planning.parts import MOST_PARTS, divide
from physlab.preview import preview
from physlab.service import run_request
from physlab.sites import LocalSite
from physlab.store import open_store
from physlab.tools import load_tools
from physlab.tools.execute import execute
from tests.unit.conftest import Bench, Outcome, node


def strip(bench: Bench, **params: Any) -> Any:
    extra = params.pop("extra", None)
    return [node("strip", "strip", (), extra, folder=str(bench.folder), **params)]


def marks(bench: Bench) -> list[int]:
    """Return how often each unit was made."""
    return [path.stat().st_size for path in sorted(bench.folder.glob("unit*"))]


def made(outcome: Outcome) -> NodeRecord:
    return NodeRecord.model_validate(outcome.lab.store.record(str(outcome["strip"].record)))


def kept(bench: Bench) -> list[Path]:
    return list(bench.lab.store.parts.folder.iterdir())


def test_a_node_in_parts_gives_what_it_gives_in_one_piece(bench: Bench) -> None:
    whole = bench.run(strip(bench), split_s=100)
    assert "parts" not in made(whole).meta
    for split_s, count in ((1.5, 3), (1, 6), (0.1, 6)):
        outcome = bench.run(strip(bench), split_s=split_s, refresh=True)
        told = made(outcome).meta["parts"]
        assert len(told) == count and [one["site"] for one in told] == ["local"] * count
        assert [unit for one in told for unit in range(*one["units"])] == list(range(6))
        assert made(outcome).fields == made(whole).fields == {"squares": [0, 1, 4, 9, 16, 25]}
        assert made(outcome).key == made(whole).key
    assert marks(bench) == [4] * 6 and not kept(bench)
    assert bench.run(strip(bench), split_s=1)["strip"].status == "cached"
    bench.run(strip(bench), split_s=1, parallelism=1, refresh=True)
    assert "parts" not in made(bench.run(strip(bench), split_s=1)).meta, "one at a time: parts would gain nothing"


def test_only_the_part_that_fails_is_tried_again(bench: Bench) -> None:
    outcome = bench.run(strip(bench, bad=3, fail_times=2, extra={"retries": 2, "retry_delay_s": 0.01}), split_s=1)
    assert outcome.fields("strip")["squares"][3] == 9
    assert marks(bench) == [1, 1, 1, 3, 1, 1]
    assert made(outcome).meta["parts"][3]["failed"] == ["unit 3 fails"] * 2
    assert outcome["strip"].history == ("Part 4 of 6: unit 3 fails",) * 2


def test_finished_parts_outlive_the_failure_of_another(bench: Bench) -> None:
    outcome = bench.run(strip(bench, bad=5), split_s=1, parallelism=2)
    assert outcome["strip"].error is not None and outcome["strip"].error["message"] == "unit 5 fails"
    assert len(kept(bench)) == 5
    again = bench.run(strip(bench, bad=5), split_s=1)
    assert again["strip"].status == "completed"
    assert [one["kept"] for one in made(again).meta["parts"]] == [True] * 5 + [False]
    assert marks(bench) == [1, 1, 1, 1, 1, 2] and not kept(bench)
    (bench.folder / "unit5").unlink()
    bench.run(strip(bench, bad=5), split_s=1, refresh=True)
    bench.run(strip(bench, bad=5), split_s=1, refresh=True)
    assert marks(bench)[:2] == [3, 3], "who wants it anew gets no part of old"


def test_a_part_lost_with_its_worker_is_tried_again_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    submit, lost = LocalSite.submit, []

    def losing(site: LocalSite, work: Work) -> Future[WorkResult]:
        if work.share == Share(start=2, stop=4, number=2, count=3) and not lost:
            lost.append(work.label)
            failed: Future[WorkResult] = Future()
            failed.set_exception(WorkerLostError("its machine fell over", details={"ended": "node_fail"}))
            return failed
        return submit(site, work)

    monkeypatch.setattr(LocalSite, "submit", losing)
    monkeypatch.setattr(LocalSite, "at_once", 3)  # as a cluster: a loss is free there
    outcome = bench.run(strip(bench), split_s=1.5)
    assert lost == ["strip[2/3]"] and marks(bench) == [1] * 6
    assert outcome["strip"].history == ("Part 2 of 3: its machine fell over",)


def test_a_plan_says_the_parts(bench: Bench) -> None:
    named = bench.lab.read(
        [*strip(bench), node("give", "give", value=6), node("later", "strip", folder="x", units="from:give.value")],
        bench.folder,
    )
    told = preview(bench.lab, named, run_request(bench.lab, split_s=1.5))["nodes"]
    assert {one["id"]: one["parts"] for one in told} == {"strip": 3, "give": 1, "later": None}


def test_what_cannot_be_divided_is_not(toy_tools: None) -> None:
    method = load_tools().find("toy", "strip")
    none = Visuals(static=False, series=False, animation=False)
    for units in (1, "six", None, [6]):
        assert divide(method, {"units": units}, none, 0.1, 2) == ()
    assert divide(method, {}, none, 1.0, 2) == ()
    shares = divide(method, {"units": 1000}, none, 1e-6, 2)
    assert len(shares) == shares[0].count <= MOST_PARTS and shares[-1].stop == 1000
    assert all(one.stop == other.start for one, other in pairwise(shares))


LOOK = {"dpi": 50, "width": 3, "height": 2}
FILMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "contours": ("plot", "animation", {
        "frame_expr": "sin(x - t)*cos(y)", "t_range": [0, 3, 45], "x_range": [-3, 3, 12], "renderer": "contour", **LOOK,
    }),
    "curve": ("plot", "parametric_2d", {
        "x_t": "cos(t)", "y_t": "sin(2*t)", "t": [0, 6, 50], "frames": 45, "format": "gif", **LOOK,
    }),
}  # fmt: skip


def film_work(folder: Path, tool: str, name: str, params: dict[str, Any]) -> Work:
    checked = load_tools().find(tool, name).params.model_validate(params)
    return Work(
        key="k", label="film", tool=tool, method=name, params=checked.model_dump(mode="json"), seed=0, device="cpu",
        visuals=Visuals(static=False, series=False, animation=True), time_limit_s=60, resources=Resources(),
        store=str(open_store(folder / "store").root),
    )  # fmt: skip


@pytest.mark.parametrize("film", FILMS)
def test_a_film_of_parts_has_the_bytes_of_one_piece(tmp_path: Path, film: str) -> None:
    work = film_work(tmp_path, *FILMS[film])
    shares = divide(load_tools().find(work.tool, work.method), work.params, work.visuals, 1e-6, 2)
    assert [(one.start, one.stop) for one in shares] == [(0, 1), (1, 2)]
    whole = execute(work)
    second, first = (execute(work.model_copy(update={"share": share})) for share in reversed(shares))
    assert not any(part.artifacts or part.warnings for part in (first, second))
    joined = execute(work.model_copy(update={"parts": (first.fields, second.fields)}))
    assert joined.fields == whole.fields and joined.artifacts == whole.artifacts
    assert {item.role for item in whole.artifacts} == {"animation", "thumbnail"}


STORED = {"$array": {"sha256": "0" * 64, "shape": [90, 7, 8], "dtype": "float64"}}


@pytest.mark.parametrize(
    ("tool", "name", "params", "segments"),
    [
        ("plot", "animation", {"frame_expr": "x*t", "t_range": [0, 1]}, 3),
        ("plot", "animation", {"frame_expr": "x*t", "t_range": [0, 1, 121]}, 4),
        ("plot", "animation", {"frame_expr": "x*t", "t_range": list(range(41))}, 2),
        ("plot", "animation", {"frame_expr": STORED, "t_range": [0, 1]}, 3),
        ("plot", "animation", {"frame_expr": {"$scaled": {"value": STORED, "factor": 2.0}}, "t_range": [0, 1]}, 3),
        ("plot", "volume_3d", {"f": STORED, "animate_axis": "z"}, 3),
        ("plot", "volume_3d", {"f": STORED, "animate_axis": "x"}, 1),
        ("plot", "volume_3d", {"f": "x*y*z"}, 2),
        ("plot", "function_2d", {"f": "x", "frames": 120}, 3),
        ("quantum", "evolve", {"frames": 81}, 3),
        ("graphing_calculator", "plot_function", {"animations": {"sweep": {"frames": 81, "format": "gif"}}}, 3),
    ],
)
def test_the_segments_of_a_film_are_known_beforehand(
    tool: str, name: str, params: dict[str, Any], segments: int
) -> None:
    method = load_tools().find(tool, name)
    defaults = {field: info.default for field, info in method.params.model_fields.items() if not info.is_required()}
    assert method.extent is not None
    found = method.extent({**defaults, **params}, Visuals(static=True, series=True, animation=True))
    assert found is not None and found.units == segments and 0.1 < found.seconds < 10
    assert method.extent({**defaults, **params}, Visuals(static=True, series=True, animation=False)) is None
