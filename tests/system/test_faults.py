"""What goes wrong around a run: signals, full and read-only disks, two processes at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import StoreError
from tests.system.child import await_none, relatives, start
from tests.unit.conftest import Bench, node, open_lab

USER = Path(__file__).parents[1] / "unit" / "user_code.py"


def slow(folder: Path) -> list[Any]:
    """Two quick nodes, then one that hangs in C code, one in a program, one behind them."""
    stuck = {"module": str(USER), "function": "stuck_with_child", "arguments": {"folder": str(folder)}}
    return [
        node("quick1", "give", value=1),
        node("quick2", "array", n=1000),
        {"id": "stuck", "tool": "python", "params": stuck, "resources": {"walltime_s": 1000}},
        {
            "id": "sleeper",
            "tool": "shell",
            "params": {"command": ["env", f"DRILL={folder}", "sleep", "1000"]},
            "resources": {"walltime_s": 1000},
        },
        node("behind", "give", ("stuck",), value=2),
    ]  # fmt: skip


def at_work(folder: Path) -> bool:
    """Say whether both slow nodes have begun what they hang in."""
    return len([one for one in relatives(folder) if one.name() == "sleep"]) == 2


def signal_at_work(folder: Path, number: int) -> int:
    """Run the slow nodes, send a signal while they hang, and return the exit code."""
    with start(folder, slow(folder)) as child:
        assert child.stdout is not None
        expected = {"completed quick1\n", "completed quick2\n", "running stuck\n", "running sleeper\n"}
        while expected:
            line = child.stdout.readline()
            assert line
            expected.discard(line)
        while not at_work(folder):
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(number)
        child.stdout.read()
    return child.returncode


def test_kill_leaves_no_worker_stuck_in_c_and_no_program(tmp_path: Path) -> None:
    assert signal_at_work(tmp_path, signal.SIGKILL) == -signal.SIGKILL
    assert await_none(tmp_path) == []
    with open_lab(tmp_path) as lab:
        assert [row["status"] for row in lab.runs()] == ["interrupted"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_and_leaves_nothing(tmp_path: Path, toy_tools: None, number: int, code: int) -> None:
    assert signal_at_work(tmp_path, number) == code
    assert await_none(tmp_path) == []
    with open_lab(tmp_path) as lab:
        record = lab.find_run("latest")
        assert record.status == "cancelled"
        found = {item.id: item.status for item in record.nodes}
        assert found == {"quick1": "completed", "quick2": "completed", **dict.fromkeys(
            ("stuck", "sleeper", "behind"), "cancelled")}  # fmt: skip
        assert list(lab.store.verify()) == []
        assert list(lab.store.leases.folder.glob("[!.]*")) == []
        states = Bench(lab, tmp_path).states(slow(tmp_path))
        assert states == {"quick1": "hit", "quick2": "hit", "stuck": "miss", "sleeper": "miss", "behind": "miss"}


def test_two_processes_compute_each_node_once(tmp_path: Path, toy_tools: None) -> None:
    nodes = [node(f"n{i}", "count", counter=str(tmp_path / f"count{i}"), x=i) for i in range(10)]
    nodes += [node(f"m{i}", "count", counter=str(tmp_path / f"count{10 + i}"), x=f"from:n{i}.x") for i in range(10)]
    with start(tmp_path, nodes) as one, start(tmp_path, nodes) as two:
        said = [child.communicate()[0].splitlines()[-1] for child in (one, two)]
    assert said == ["end completed"] * 2
    assert {path.stat().st_size for path in tmp_path.glob("count*")} == {1}
    with open_lab(tmp_path) as lab:
        assert list(lab.store.verify()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


def test_a_full_disk_is_one_clear_error_and_no_damage(small_disk: Path, toy_tools: None) -> None:
    nodes = [node(f"n{i}", "array", n=40_000 + i) for i in range(20)]  # 320 kB each
    finished: set[str] = set()
    said: list[str] = []
    try:
        with open_lab(small_disk) as lab:
            outcome = Bench(lab, small_disk).run(
                nodes, watch=lambda event: finished.add(event.node_id) if event.status == "completed" else None
            )
            assert outcome.record.status == "failed"
            said += [str(item.error) for item in outcome.record.nodes if item.status == "failed"]
    except StoreError as error:
        said.append(str(error))
    assert said and all("No space left on device" in text or "disk is full" in text for text in said)
    assert 0 < len(finished) < 20
    remount(small_disk, "size=40m")
    with open_lab(small_disk) as lab:
        assert list(lab.store.verify()) == []
        outcome = Bench(lab, small_disk).run(nodes)
        assert outcome.record.status == "completed"
        assert {name for name in finished if outcome[name].status != "cached"} == set()
        assert list(lab.store.blobs.incoming.iterdir()) == []
        assert list(lab.store.verify()) == []


def test_a_disk_that_fills_under_the_journal_and_the_index(small_disk: Path, toy_tools: None) -> None:
    """Not a blob but the records themselves meet the end of the disk, at every amount of room left."""
    nodes = [node(f"n{i}", "give", value=["x" * 3000, i]) for i in range(8)]
    with open_lab(small_disk) as lab:
        lab.store.append("toy", {})
    said: list[str] = []
    ballast = small_disk / "ballast"
    room = os.statvfs(small_disk)
    free = room.f_bavail * room.f_bsize
    for left in range(0, 240_000, 24_000):
        ballast.write_bytes(bytes(free - left))
        try:
            with open_lab(small_disk) as lab:
                Bench(lab, small_disk).run([{**item, "seed": left} for item in nodes])
        except StoreError as error:
            said.append(str(error))
        ballast.unlink()
        with open_lab(small_disk) as lab:
            assert list(lab.store.verify()) == []
            free = os.statvfs(small_disk).f_bavail * room.f_bsize
    assert said and all("space" in text or "disk" in text for text in said)
    with open_lab(small_disk) as lab:
        assert Bench(lab, small_disk).run(nodes).record.status == "completed"


def test_a_read_only_store_says_so(small_disk: Path, toy_tools: None) -> None:
    nodes = [node("a", "give", value=1)]
    with open_lab(small_disk) as lab:
        Bench(lab, small_disk).run(nodes)
    remount(small_disk, "ro")
    with (
        pytest.raises(StoreError, match="cannot be written: Read-only file system") as raised,
        open_lab(small_disk) as lab,
    ):
        Bench(lab, small_disk).run(nodes)
    assert "make the folder writable" in raised.value.hint


def test_a_killed_run_goes_on_from_the_parts_that_are_there(tmp_path: Path, toy_tools: None) -> None:
    nodes = [node("strip", "strip", (), folder=str(tmp_path), held=[3, 5])]
    with start(tmp_path, nodes, split_s=1) as child:
        await_parts(tmp_path, child, 4)  # all but the two that wait
        child.kill()
    (tmp_path / "go").touch()
    with open_lab(tmp_path) as lab:
        outcome = Bench(lab, tmp_path).run(nodes, split_s=1)
        assert outcome.fields("strip") == {"squares": [0, 1, 4, 9, 16, 25]}
        assert [path.stat().st_size for path in sorted(tmp_path.glob("unit*"))] == [1] * 6
        told = lab.store.record(str(outcome["strip"].record))["meta"]["parts"]
        assert [one["kept"] for one in told] == [True, True, True, False, True, False]
        assert list(lab.store.verify()) == [] and not list(lab.store.parts.folder.iterdir())


def test_a_run_that_is_stopped_stops_its_parts(tmp_path: Path) -> None:
    film = {"frame_expr": "sin(x - t)*cos(y)", "t_range": [0, 9, 280], "renderer": "contour", "dpi": 50}
    nodes = [{"id": "film", "tool": "plot", "method": "animation", "params": film}]
    with start(tmp_path, nodes, split_s=0.1) as child:
        await_parts(tmp_path, child, 1)
        child.send_signal(signal.SIGINT)
        child.wait(30)
    assert child.returncode == 130
    assert await_none(tmp_path) == []
    with open_lab(tmp_path) as lab:
        assert [row["status"] for row in lab.runs()] == ["cancelled"]
        assert 1 <= len(list(lab.store.parts.folder.iterdir())) < 7
        assert list(lab.store.verify()) == []


def await_parts(folder: Path, child: subprocess.Popen[str], count: int) -> None:
    """Wait until so many parts are kept."""
    while len(list((folder / "home" / "store" / "parts").glob("*"))) < count:
        assert child.poll() is None
        time.sleep(0.02)
