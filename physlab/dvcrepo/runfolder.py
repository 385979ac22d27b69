"""What the repository shows of a run: its data for DVC, and the texts about it for Git."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from physlab.dvcrepo.objects import Twin, pointer
from physlab.graph import brief
from physlab.model import Dag, NodeRecord, RunRecord
from physlab.model.stored import files_in
from physlab.report.contents import Content, read_files
from physlab.report.folder import folder_name, paths_of, summary
from physlab.specfile import spell_yaml
from physlab.store import Store

RUNS = "runs"
DATA = "files"
REPORT = "report.pdf"
MAP = "sha256.json"
POINTER = f"{DATA}.dvc"
PARAMS = "params.yaml"
METRICS = "metrics.json"


@dataclass(frozen=True)
class RunFolder:
    """A run as the repository shows it.

    Attributes:
        title: Name of its folder under `runs`.
        files: SHA-256 of each file of data, by path.
        texts: The texts beside the data, by name; those about the data itself are left to `complete`.
        params: The parameters of each node, as they were written.
        inputs: SHA-256 of each file of the user's that went into it, by the node and parameter that took it.
    """

    title: str
    files: dict[str, str]
    texts: dict[str, bytes]
    params: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Its folder in the repository."""
        return f"{RUNS}/{self.title}"

    def complete(self, twins: Mapping[str, Twin], listing: str) -> dict[str, bytes]:
        """Return all texts, with the pointer to the data and the map of its digests.

        Args:
            twins: Both digests of each file of data, by path.
            listing: What DVC calls the folder.
        """
        entries = {path: {"md5": twin.md5, "sha256": twin.sha256, "size": twin.size} for path, twin in twins.items()}
        sums = "".join(f"{twin.sha256}  {DATA}/{path}\n" for path, twin in sorted(twins.items()))
        about = {
            MAP: spell_json({"folder": listing, "files": entries, "inputs": self.inputs}),
            "SHA256SUMS": sums.encode(),
            ".gitignore": f"/{DATA}\n.*.tmp\n".encode(),
        }
        return {**self.texts, **about, POINTER: pointer(listing, DATA, twins)} if twins else {**self.texts, **about}


def show_run(run: RunRecord, dag: Dag, store: Store, report: Path | None = None) -> RunFolder:
    """Gather what the repository shows of a run.

    Args:
        run: The run.
        dag: Its graph.
        store: Where the bytes and records are.
        report: The PDF of the run, when there is one; it enters the store.

    Raises:
        StoreError: A record is missing or damaged.
    """
    contents = read_files(run, store)
    files = {path: digest for content in contents for path, digest in paths_of(content).items()}
    if report is not None:
        files[REPORT] = store.blobs.put(report)[0]
    params = parameters(dag)
    records = chain((node.record for node in run.nodes if node.record is not None), store)
    texts = {
        "experiment.yaml": experiment(dag),
        PARAMS: spell_yaml(params).encode(),
        METRICS: spell_json({content.id: _numbers(content) for content in contents if _numbers(content)}),
        "run.json": summary(run, dag, contents),
        "lineage.json": spell_json({"run_id": run.run_id, "records": records}),
        "environment.json": spell_json(_libraries(records.values())),
        "dvc.yaml": spell_yaml({"params": [PARAMS], "metrics": [METRICS]}).encode(),
    }
    inputs = {
        f"{record['node_id']}.{place}": digest
        for record in records.values() for place, digest in files_in(record["params"])
    }  # fmt: skip
    return RunFolder(folder_name(run.title or dag.title), files, texts, params, inputs)


def parameters(dag: Dag) -> dict[str, Any]:
    """Return the parameters of each node as they were written, with its seed where it has one."""
    return {node.id: {**node.params, **({"seed": node.seed} if node.seed else {})} for node in dag.nodes}


def experiment(dag: Dag) -> bytes:
    """Return a graph as a file that `physlab run` takes."""
    content = dag.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"nodes", "edges"})
    edges = [edge.model_dump(mode="json", by_alias=True, exclude_defaults=True) for edge in dag.edges]
    body = {"metadata": content, "nodes": [brief(node) for node in dag.nodes], **({"edges": edges} if edges else {})}
    return spell_yaml(plain(body)).encode()


def chain(digests: Iterable[str], store: Store) -> dict[str, Any]:
    """Return records, and those of everything that went into them, by digest.

    Each one is the very record of the ledger: the SHA-256 of its canonical JSON is its name.
    """
    found: dict[str, Any] = {}
    waiting = list(dict.fromkeys(digests))
    for digest in waiting:  # grows while it is walked
        if digest not in found:
            found[digest] = store.record(digest)
            waiting += NodeRecord.model_validate(found[digest]).parents
    return found


def _libraries(records: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return every version of each library that the nodes were computed with."""
    versions: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for name, version in record["code"].items():
            if name != "fingerprint":
                versions[name].add(version)
    return {name: sorted(found) for name, found in sorted(versions.items())}


def _numbers(content: Content) -> dict[str, float]:
    """Return the results of a node that are one number each, for `dvc metrics`."""
    fields = content.record.fields if content.record else {}
    return {name: value for name, value in fields.items() if type(value) in (int, float)}


def plain(value: Any) -> Any:
    """Return a value with lists in the place of tuples, as YAML knows them."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def spell_json(value: Any) -> bytes:
    """Return JSON that is the same for the same value, one item a line."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
