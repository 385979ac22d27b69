"""A graph as a pipeline of DVC: one stage for each node, and back again.

    experiment.yaml   what each node is (tool, method, seed, …), by id
    params.yaml       the parameters of each node, by id
    dvc.yaml          the stages; each depends on its own entries of both, and on the folders of the nodes before it
    inputs/           the user's own files
    stages/NODE/      what a node gave: result.json and its files

Parameters stand in a file of their own so that `dvc params diff` speaks of them, and that `dvc repro` runs again what a
changed parameter reaches and nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from physlab.dvcrepo.objects import write_whole
from physlab.dvcrepo.runfolder import plain
from physlab.errors import ValidationError, nearest
from physlab.graph import brief, connect, needs
from physlab.model import Dag
from physlab.specfile import read_spec, spell_yaml

EXPERIMENT, PARAMS, STAGES, INPUTS, OUTS = "experiment.yaml", "params.yaml", "dvc.yaml", "inputs", "stages"


def write_pipeline(dag: Dag, files: Mapping[str, Iterable[Path]], base_dir: Path, folder: Path) -> list[str]:
    """Write a graph as a pipeline.

    Args:
        dag: A right graph.
        files: The user's own files that each node reads.
        base_dir: Folder that relative file names of the graph start from.
        folder: Where to; it holds no other pipeline.

    Returns:
        The files that were written, by path in the folder.

    Raises:
        ValidationError: There is a pipeline already.
        StoreError: The folder cannot be written.
    """
    for name in (STAGES, EXPERIMENT, PARAMS):
        if (folder / name).exists():
            raise ValidationError(f"'{folder / name}' is there already.", hint="Choose another folder, or remove it.")
    whole = connect(dag)
    named = _name_inputs([*(path for paths in files.values() for path in paths), *_bibliographies(dag, base_dir)])
    for source, name in named.items():
        (folder / INPUTS).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    params = {node.id: _renamed(plain(node.params), base_dir, named) for node in whole.nodes}
    metadata = whole.model_dump(mode="json", exclude_defaults=True, exclude={"nodes", "edges"})
    if whole.bib:
        metadata["bib"] = [_renamed(item, base_dir, named) for item in whole.bib]
    nodes = {node.id: {name: value for name, value in plain(brief(node)).items() if name not in ("id", "params")}
             for node in whole.nodes}  # fmt: skip
    stages = {}
    for node in whole.nodes:
        own = sorted({named[path.resolve()] for path in files.get(node.id, ())})
        stages[node.id] = {
            "cmd": f"physlab dvc stage {node.id}",
            "deps": [*own, *(f"{OUTS}/{name}" for name in needs(node))],
            "params": [node.id, {EXPERIMENT: [f"nodes.{node.id}"]}],
            "outs": [f"{OUTS}/{node.id}"],
        }
        if not stages[node.id]["deps"]:
            del stages[node.id]["deps"]
    texts = {
        EXPERIMENT: {"metadata": metadata, "nodes": nodes},
        PARAMS: params,
        STAGES: {"stages": stages},
    }
    for name, content in texts.items():
        write_whole(folder / name, spell_yaml(content).encode())
    return sorted([*texts, *named.values()])


def _bibliographies(dag: Dag, base_dir: Path) -> list[Path]:
    return [base_dir / item for item in dag.bib if "{" not in item]


def _name_inputs(paths: Iterable[Path]) -> dict[Path, str]:
    """Return a name inside the pipeline for each file, no two alike."""
    named: dict[Path, str] = {}
    for path in paths:
        whole = path.resolve()
        if whole not in named:
            taken, number = {name.casefold() for name in named.values()}, 1
            name = f"{INPUTS}/{path.name}"
            while name.casefold() in taken:
                number += 1
                name = f"{INPUTS}/{path.stem}_{number}{path.suffix}"
            named[whole] = name
    return named


def _renamed(value: Any, base_dir: Path, named: Mapping[Path, str]) -> Any:
    """Return parameters with the names that the user's files have in the pipeline."""
    if isinstance(value, dict):
        return {key: _renamed(item, base_dir, named) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, base_dir, named) for item in value]
    if not isinstance(value, str) or len(value) > 4096 or "\0" in value or "\n" in value:
        return value
    return named.get((base_dir / value).resolve(), value) if value else value


def read_pipeline(folder: Path) -> dict[str, Any]:
    """Return the specification of the graph of a pipeline.

    Raises:
        ValidationError: There is none, or its two files do not belong together.
    """
    body, params = read_spec(folder / EXPERIMENT), read_spec(folder / PARAMS)
    nodes = body.get("nodes") if isinstance(body, dict) else None
    if not isinstance(nodes, dict) or not isinstance(params, dict):
        raise ValidationError(f"'{folder}' holds no pipeline.", hint="Write one: physlab export dvc EXPERIMENT FOLDER")
    strange = [name for name in params if name not in nodes]
    if strange:
        raise ValidationError(
            f"{PARAMS} names '{strange[0]}', which is not in {EXPERIMENT}.", hint=nearest(strange[0], nodes)
        )
    listed = [{"id": name, **content, "params": params.get(name) or {}} for name, content in nodes.items()]
    return {"metadata": body.get("metadata") or {}, "nodes": listed}


def upstream_of(dag: Dag, name: str) -> Dag:
    """Return the part of a graph that a node needs, and the node.

    Raises:
        ValidationError: There is no such node.
    """
    nodes = {node.id: node for node in connect(dag).nodes}
    if name not in nodes:
        raise ValidationError(f"There is no node '{name}'.", hint=nearest(name, nodes))
    wanted, waiting = {name}, [name]
    for one in waiting:  # grows while it is walked
        for above in needs(nodes[one]) if one in nodes else ():
            if above not in wanted:
                wanted.add(above)
                waiting.append(above)
    return dag.model_copy(update={"nodes": tuple(n for n in nodes.values() if n.id in wanted), "edges": ()})
