"""The sites of a lab: what each offers, and whether a cluster would really run a node."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from physlab.errors import PhyslabError
from physlab.lab import Lab
from physlab.model import Resources, Visuals, Work, WorkResult
from physlab.settings import SlurmSiteSettings
from physlab.sites import Site
from physlab.sites.environment import choose_python
from physlab.sites.slurm.commands import Run
from physlab.sites.slurm.gate import Gate, gate_here, gate_to, last_policy
from physlab.sites.slurm.policy import PATH
from physlab.sites.ssh import SshRun

ROUND_TRIP_S = 300.0
_NO_PILOT, _LOOK = f"no pilot began within {ROUND_TRIP_S:g} s", "Look at squeue: is it full?"
SINFO = "%P|%a|%l|%D|%c|%m|%G"
"""Partition, whether it is up, its time limit, machines, their cores, memory [MB] and generic resources."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: whether it is right, what was found, and what to do if it is not."""

    name: str
    ok: bool
    found: str
    do: str = ""


def list_sites(lab: Lab) -> list[dict[str, Any]]:
    """Return what each site of the lab offers, as its settings say; no cluster is asked."""
    found = []
    for site in (*lab.sites(), *lab.clusters()):
        capacity = site.capacity()
        told = lab.settings.sites.slurm.get(site.name)
        found.append({
            "name": site.name, "kind": "slurm" if told else "local", "cores": capacity.cpu,
            "memory_gb": capacity.memory_gb, "accelerators": list(capacity.accelerators),
            "host": (told.host or "here") if told else "this machine", "partition": told.partition if told else None,
            "pilots": told.max_pilots if told else None, "policy": _told_policy(told) if told else None,
        })  # fmt: skip
    return found


def _told_policy(settings: SlurmSiteSettings) -> str | None:
    """Return the policy of a cluster; of one behind a host what was read there last."""
    if settings.host is not None:
        return last_policy(settings.host)
    try:
        policy = gate_here().policy()
    except PhyslabError as error:
        return error.message
    return policy.text if policy is not None else None


def check_site(lab: Lab, name: str) -> Iterator[Check]:
    """Look at a cluster step by step, from the connection to a node that goes there and comes back.

    Raises:
        ValidationError: There is no such cluster.
    """
    name, settings = lab.cluster(name)
    [site] = lab.clusters(name) if name in lab.settings.sites.slurm else [None]
    with reached(settings) as run:
        for look in (_commands, _policy, _partitions, _folder, _python):
            found = _shielded(look.__name__[1:], lambda look=look: look(run, settings, lab, name))  # type: ignore[misc]
            yield found
            if not found.ok:
                return
    if site is not None:
        yield _shielded("round trip", lambda: _round_trip(lab, site))
        if settings.gpu_partition is not None:
            yield _shielded("accelerators", lambda: _accelerators(lab, site))


def _shielded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except PhyslabError as error:
        return Check(name, False, error.message, error.hint)
    except OSError as error:
        return Check(name, False, f"{error}", "Is it installed here, or should the site have a host?")


@contextlib.contextmanager
def reached(settings: SlurmSiteSettings) -> Iterator[Gate]:
    """Open the way to a cluster."""
    if settings.host is None:
        yield gate_here()
        return
    with SshRun(settings.host) as run:
        yield gate_to(run)


def _said(run: Run, words: Sequence[str]) -> tuple[bool, str]:
    done = run(words, "")
    return done.returncode == 0, " ".join((done.stdout if done.returncode == 0 else done.stderr).split())


def _commands(run: Run, settings: SlurmSiteSettings, lab: Lab, name: str) -> Check:
    ok, said = _said(run, ("sbatch", "--version"))
    where = f" on {settings.host}" if settings.host else ""
    return Check("commands", ok, said + where, "" if ok else "Name a login node: host in [sites.slurm.NAME].")


def _policy(run: Gate, settings: SlurmSiteSettings, lab: Lab, name: str) -> Check:
    policy = run.policy()
    return Check("policy", True, policy.text if policy is not None else f"none, there is no {PATH}")


def _partitions(run: Run, settings: SlurmSiteSettings, lab: Lab, name: str) -> Check:
    done = run(("sinfo", "-h", "-o", SINFO), "")
    rows = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 6]
    names = list(dict.fromkeys(row[0].rstrip("*") for row in rows))
    for wanted in (settings.partition, settings.gpu_partition):
        if wanted is not None and wanted not in names:
            return Check("partitions", False, f"there is no '{wanted}'", f"There are: {', '.join(names)}.")
    shown = "; ".join(f"{row[0]} {row[3]} × {row[4]} cores, {row[5]} MB, {row[2]}" for row in rows[:4])
    return Check("partitions", bool(rows), shown or " ".join(done.stderr.split())[:200], "" if rows else "Try sinfo.")


def _folder(run: Run, settings: SlurmSiteSettings, lab: Lab, name: str) -> Check:
    folder = str(settings.folder or lab.settings.home)
    ok, said = _said(run, ("sh", "-c", 'mkdir -p "$1" && test -w "$1" && df -Pk "$1" | tail -1', "sh", folder))
    free = int(said.split()[3]) / 2**20 if ok else 0.0
    found = f"{folder}, {free:.0f} GB free" if ok else said
    return Check("folder", ok, found, "" if ok else "Choose a folder that you may write and the nodes can see.")


def _python(run: Run, settings: SlurmSiteSettings, lab: Lab, name: str) -> Check:
    chosen = choose_python(name, settings, lab.site_folder(name), run)
    code = ("import sys, importlib.metadata as m; print('Python', sys.version.split()[0], "
            "*(f'{n} {m.version(n)}' for n in ('physlab', 'distributed', 'dask-jobqueue')))")  # fmt: skip
    ok, said = _said(run, chosen.start(settings, ("-P", "-c", code)))
    if not ok:
        do = f"Bring it there: physlab site install {name}; or install it: {chosen.python} -m pip install physlab."
        return Check("python", False, f"{chosen.python}: {said[-200:]}", do)
    if chosen.about:
        size = f"{len(chosen.about['packages'])} packages, {chosen.about['size'] / 1e6:.0f} MB"
        said = f"{said}; environment {chosen.about['digest']}, {size}"
    ours = f"physlab {version('physlab')}"
    return Check("python", ours in said, said, "" if ours in said else f"This side has {ours}: install the same there.")


def _round_trip(lab: Lab, site: Site) -> Check:
    took, result = _there_and_back(lab, site, "constants_get", {"name": "c"}, Resources())
    if result is None:
        return Check("round trip", False, _NO_PILOT, _LOOK)
    right = result.fields.get("value") == 299792458.0
    shared = not (Path(lab.settings.home) / "sites" / site.name / "store").exists()
    how = "it reads the lab's store" if shared else "files travel by content"
    return Check("round trip", right, f"a node came back after {took:.1f} s; {how}")


def _accelerators(lab: Lab, site: Site) -> Check:
    _, result = _there_and_back(lab, site, "accel_caps", {}, Resources(gpu=1))
    if result is None:
        return Check("accelerators", False, _NO_PILOT, _LOOK)
    found = ", ".join(result.fields["accelerators"])
    do = "" if found else "gpu_partition names no machine with a driver that is known: CUDA, ROCm."
    return Check("accelerators", bool(found), found or "none", do)


def _there_and_back(
    lab: Lab, site: Site, tool: str, params: dict[str, Any], asked: Resources
) -> tuple[float, WorkResult | None]:
    """Send a node there and take its result; None when no pilot began."""
    work = Work(
        key="check", label="check", tool=tool, method=None, params=params, visuals=Visuals(), seed=0,
        device="cpu", time_limit_s=60.0, resources=asked, store=str(lab.store.root),
    )  # fmt: skip
    began = time.monotonic()
    site.expect(asked, work.time_limit_s, 1)
    try:
        result = site.submit(work).result(ROUND_TRIP_S)
        return time.monotonic() - began, result
    except LateError:
        return ROUND_TRIP_S, None
    finally:
        site.expect(asked, work.time_limit_s, -1)
