"""The lab is lost and comes back, of each engine: the real commands, a real experiment."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from physlab.backup import check_repository, points_of, restore_lab
from physlab.backup.place import place_of
from physlab.store import open_store
from tests.system.child import await_none
from tests.system.commandline import CommandLine
from tests.unit.backuplab import backup_lab, repository_of, state_of, use_template, variables_of

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
    return CommandLine(tmp_path, {**ALONE, **variables_of(tmp_path)})


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
    (lab.folder / "server.key").unlink(missing_ok=True)  # the password and the address are all that is left

    new = CommandLine(lab.folder / "new", {**lab.variables, "PHYSLAB_BACKUP__PASSWORD_FILE": str(kept_elsewhere)})
    new.folder.mkdir()
    shutil.copy(lab.folder / "three.yaml", new.folder)
    found = new.json("backup", "restore", "latest", str(new.home), "--json")
    assert found["ok"] and found["blobs"] == len(objects) > 0 and "no list of backups" in found["notes"][0]
    assert state_of(new.home / "store" / "objects") == objects
    restored = (new.home / "store" / "journal" / "000001.jsonl").read_bytes()
    assert restored and journal.startswith(restored)
    again = new.json("run", "three.yaml", "--json")
    assert again["meta"]["cache_hits"] == len(again["nodes"]) == 3
    with backup_lab(new.folder, **{**repository_of(lab.folder), "backup.password_file": kept_elsewhere}) as on:
        taken_up = on.save()  # its journal has the mark of the backup that it came from
        assert taken_up.adopted == [made["snapshot"]] and taken_up.warnings == []


@pytest.mark.drill
def test_kill_9_at_any_point_loses_nothing(template: Path, tmp_path: Path, drill_seed: int) -> None:
    """A backup and a restore are killed at random points; the store is whole, the next ones go on, nothing runs on."""
    choose = random.Random(drill_seed)
    use_template(template, tmp_path)
    with backup_lab(tmp_path) as lab:
        digests = lab.fill(60, size=200_000)
    line = CommandLine(tmp_path, {**ALONE, **variables_of(tmp_path), "DRILL": str(tmp_path)})
    for words in (("backup", "run"), ("backup", "run"), ("backup", "restore", "latest", str(tmp_path / "back"))):
        _kill_at_random(line, choose, words)
        assert await_none(tmp_path) == []
        assert not (tmp_path / "back").exists() or state_of(tmp_path / "back" / "store" / "objects")
        with open_store(tmp_path / "home" / "store") as store:
            assert list(store.verify()) == [] and store.check_blobs(digests) == set(digests)
        if words[1] == "run":
            continue
        shutil.rmtree(tmp_path / "back", ignore_errors=True)
    with backup_lab(tmp_path) as lab:
        made = lab.save()
        assert made.record["complete"] and made.warnings == []
        assert check_repository(lab.store, lab.settings, lab.engine).problems == []
        back = restore_lab(lab.store, lab.engine, "latest", tmp_path / "back", tell=lambda words: None, salvage=False)
        assert back.problems == [] and points_of(lab.store)[-1].snapshot == made.record["snapshot"]
        assert state_of(tmp_path / "back" / "store" / "objects") == state_of(lab.store.root / "objects")
        assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
        assert not place_of(lab.settings).view.exists()


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
