"""The lab is lost and comes back: the real commands, real restic, a real experiment."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from physlab.backup import points_of
from physlab.store import open_store
from tests.system.child import await_none
from tests.system.commandline import CommandLine
from tests.unit.backuplab import backup_lab, missing_parts, state_of, use_template

pytestmark = pytest.mark.skipif(bool(missing_parts()), reason=missing_parts() or "all there")
EXPERIMENT = """
title: Three
nodes:
  - {id: two, tool: cas, method: evaluate, params: {expr: 1 + 1}}
  - {id: c, tool: constants_get, params: {name: c}}
  - id: curve
    tool: plot
    method: function_2d
    params: {f: "sin(x)", x_min: 0, x_max: 1}
    visual_outputs: {static: true}
"""
ALONE = {"PHYSLAB_SERVER__MODE": "none"}


@pytest.fixture
def lab(template: Path, tmp_path: Path) -> CommandLine:
    use_template(template, tmp_path)
    (tmp_path / "three.yaml").write_text(EXPERIMENT)
    return CommandLine(tmp_path, {**ALONE, "PHYSLAB_BACKUP__REPOSITORY": str(tmp_path / "repository")})


def test_a_lost_lab_comes_back_with_every_hash(lab: CommandLine) -> None:
    """Run, back up, lose the home, restore on a new machine: the same bytes, and the same run is all cache."""
    first = lab.json("run", "three.yaml", "--json")
    assert first["meta"]["cache_hits"] == 0
    made = lab.json("backup", "run", "--json")
    assert made["complete"] and made["new_password"] is None and made["left_out"] == []
    objects = state_of(lab.home / "store" / "objects")
    journal = (lab.home / "store" / "journal" / "000001.jsonl").read_bytes()
    kept_elsewhere = lab.folder / "password"
    shutil.copy(lab.home / "keys" / "backup.password", kept_elsewhere)
    shutil.rmtree(lab.home)

    new = CommandLine(lab.folder / "new", {**lab.variables, "PHYSLAB_BACKUP__PASSWORD_FILE": str(kept_elsewhere)})
    new.folder.mkdir()
    shutil.copy(lab.folder / "three.yaml", new.folder)
    found = new.json("backup", "restore", "latest", str(new.home), "--json")
    assert found["ok"] and found["blobs"] == len(objects) > 0 and "no list of backups" in found["notes"][0]
    assert state_of(new.home / "store" / "objects") == objects
    restored = (new.home / "store" / "journal" / "000001.jsonl").read_bytes()
    assert restored and journal.startswith(restored)
    new.run("store", "verify")
    again = new.json("run", "three.yaml", "--json")
    assert again["meta"]["cache_hits"] == len(again["nodes"]) == 3
    taken_up = new.json("backup", "run", "--json")
    assert taken_up["adopted"] == [made["snapshot"]] and taken_up["warnings"] == []


def test_status_drill_and_what_is_told(lab: CommandLine) -> None:
    late = lab.run("backup", "status", code=1)
    assert "there is no backup" in late.stdout
    lab.run("run", "three.yaml")
    assert "restic backup" in lab.run("backup", "run", "--dry-run").stdout
    assert not list((lab.folder / "repository" / "snapshots").rglob("*"))
    said = lab.run("backup", "run", "--limit", "50MB/s").stdout
    assert "Backed up as" in said and "physlab backup verify" in said
    drill = lab.json("backup", "drill", "--json")
    assert drill["ok"] and drill["measured"]["cached"] == drill["measured"]["nodes"] == 3
    assert drill["measured"]["equal"] == drill["measured"]["files"] > 0
    assert drill["title"].startswith("Restore drill of") and "| of these equal" in drill["text"]
    with open_store(lab.home / "store") as store:
        attached = json.loads(store.blobs.read(drill["attachments"][0]["sha256"]))
    assert attached["ok"] and not (lab.home / "backup" / "drill").exists()
    status = lab.json("backup", "status", "--json")
    assert not status["late"] and status["age_h"] < 1 and status["drill"] == drill["title"]
    listed = lab.run("backup", "list").stdout
    assert status["newest"]["snapshot"][:8] in listed
    scheduled = lab.json("backup", "schedule", "--keep", "30_days", "--json")["backup"]
    assert scheduled["retention"] == "30 days" and scheduled["deployment"] is None
    assert scheduled["how"].startswith("30 3 * * * cd ") and str(lab.home) in scheduled["how"]


def test_a_drill_finds_what_differs(lab: CommandLine) -> None:
    """A bit that fell in the lab after the backup is found by the drill, with its name."""
    lab.run("run", "three.yaml")
    lab.run("backup", "run")
    victim = next(path for path in sorted((lab.home / "store" / "objects").rglob("*")) if path.is_file())
    data = bytearray(victim.read_bytes())
    data[0] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(data)
    said = lab.run("backup", "drill", code=1).stdout
    assert victim.parent.name + victim.name in said and "the backup has it whole" in said


@pytest.mark.drill
def test_kill_9_at_any_point_loses_nothing(template: Path, tmp_path: Path, drill_seed: int) -> None:
    """A backup and a restore are killed at random points; the store is whole, the next ones go on, nothing runs on."""
    choose = random.Random(drill_seed)
    use_template(template, tmp_path)
    with backup_lab(tmp_path) as lab:
        digests = lab.fill(60, size=200_000)
    line = CommandLine(
        tmp_path, {**ALONE, "PHYSLAB_BACKUP__REPOSITORY": str(tmp_path / "repository"), "DRILL": str(tmp_path)}
    )
    for words in (("backup", "run"), ("backup", "run"), ("backup", "restore", "latest", str(tmp_path / "back"))):
        _kill_at_random(line, choose, words)
        assert await_none(tmp_path) == []
        assert not (tmp_path / "back").exists() or state_of(tmp_path / "back" / "store" / "objects")
        with open_store(tmp_path / "home" / "store") as store:
            assert list(store.verify()) == [] and store.check_blobs(digests) == set(digests)
        if words[1] == "run":
            continue
        shutil.rmtree(tmp_path / "back", ignore_errors=True)
    made = line.json("backup", "run", "--json")
    assert made["complete"] and not made["unread"] and made["warnings"] == []
    assert line.json("backup", "verify", "--json")["ok"]
    assert line.json("backup", "restore", "latest", str(tmp_path / "back"), "--json")["ok"]
    assert state_of(tmp_path / "back" / "store" / "objects") == state_of(tmp_path / "home" / "store" / "objects")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    assert not (tmp_path / "home" / "backup" / "view").exists()
    with open_store(tmp_path / "home" / "store") as store:
        assert points_of(store)[-1].snapshot == made["snapshot"]


def _kill_at_random(line: CommandLine, choose: random.Random, words: tuple[str, ...]) -> None:
    """Start a command and kill it some time after it has begun to do something; it may be done by then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "physlab", *words], cwd=line.folder, env=line.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    process.stderr.readline()  # its first word of progress
    time.sleep(choose.random() * choose.choice((0.02, 0.3, 1.5)))
    psutil.Process(process.pid).kill()
    process.communicate()
