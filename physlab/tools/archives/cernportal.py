"""Datasets of the CERN Open Data portal, through its REST interface (https://opendata.cern.ch/docs/).

Records: `/api/records/` searches, `/api/records/<recid>` lists the files, `/eos/opendata/…` serves them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from physlab.errors import ComputationError, ResourceError
from physlab.model import Web
from physlab.tools.archives.params import CernParams
from physlab.tools.archives.web import Client
from physlab.tools.archives.webanswer import MB, Answer, Service, malformed, read_json
from physlab.tools.context import Context

FORMATS = {
    "AOD": ("aod", "aodsim"),
    "MINIAOD": ("miniaod", "miniaodsim"),
    "NanoAOD": ("nanoaod", "nanoaodsim", "nanoaod-run1", "nanoaodsim-run1"),
}
CHUNK = 1 << 20


def service(web: Web) -> Service:
    """Return the portal as these settings have it."""
    return Service("CERN Open Data", "cern_url", web.cern_url, web.cern_delay_s)


def search(params: CernParams, context: Context) -> dict[str, Any]:
    """Search the portal.

    Args:
        params: What to look for, how many datasets and files, whether to fetch the files.
        context: Settings, limits, the call's folder.

    Returns:
        Datasets with their files, and how many datasets match in all.

    Raises:
        ResourceError: The portal cannot be reached and has not answered this before, or the files are too large.
        ComputationError: An answer is not what it should be, or a file has not its checksum.
    """
    client, portal = Client(context, params.max_age), service(context.web)
    hits, total = client.ask(portal, "/api/records/", query(params), accept="application/json", read=read_hits)
    datasets = [describe(hit, portal) for hit in hits]
    if params.list_files:
        for dataset in datasets:
            files = client.ask(
                portal, f"/api/records/{quote(dataset['recid'])}", accept="application/json", read=read_files
            )
            dataset["files_found"] = len(files)
            dataset["files"] = [_file(entry, portal) for entry in files[: params.max_files]]
    if params.download:
        _download(datasets, portal, client, context)
    client.finish()
    return {"datasets": datasets, "total_found": total, "returned": len(datasets)}


def query(params: CernParams) -> tuple[tuple[str, str], ...]:
    """Return the fields of a search; the portal ignores names that it does not know, so these are its own."""
    fields: list[tuple[str, str]] = []
    if params.dataset_name:
        fields.append(("q", _words(params.dataset_name)))
    fields.append(("type", "Dataset::Derived" if params.data_type == "derived" else "Dataset"))
    if params.experiment:
        fields.append(("experiment", params.experiment))
    fields += [("file_type", name) for name in FORMATS.get(params.data_type or "", ())]
    if params.year:
        fields.append(("year", f"{params.year}--{params.year}"))
    page = params.start // params.max_results + 1
    fields += [("page", str(page)), ("size", str(params.max_results)), ("skip_files", "1"), ("ondemand", "true")]
    return tuple(fields)


def _words(text: str) -> str:
    """Return the text as a query: a number is a record, a path or anything else with signs in it a phrase."""
    if text.isdigit():
        return f"recid:{text}"
    if text.startswith("/"):
        return 'title:"' + text.replace('"', "") + '"'
    if re.fullmatch(r"[\w .*-]+", text):
        return text
    return '"' + text.replace("\\", " ").replace('"', " ") + '"'


def read_hits(answer: Answer) -> tuple[list[dict[str, Any]], int]:
    """Read a page of search results.

    Raises:
        ComputationError: It is none.
    """
    found = read_json(answer)
    hits = found.get("hits") if isinstance(found, dict) else None
    if not isinstance(hits, dict) or not isinstance(hits.get("hits"), list):
        raise malformed("list of records", answer, "it has no hits")
    total = hits.get("total")
    total = total.get("value") if isinstance(total, dict) else total
    if not isinstance(total, int) or not all(isinstance(hit.get("metadata"), dict) for hit in hits["hits"]):
        raise malformed("list of records", answer, f"its total is {total!r}, or records have no metadata")
    return hits["hits"], total


def describe(hit: dict[str, Any], portal: Service) -> dict[str, Any]:
    """Return what matters of a record."""
    about = hit["metadata"]
    held = about.get("distribution") or {}
    collision = about.get("collision_information") or {}
    kind = about.get("type") or {}
    recid = str(about.get("recid") or hit.get("id"))
    return {
        "recid": recid,
        "title": str(about.get("title", "")),
        "experiment": about.get("experiment") or [],
        "type": [str(kind.get("primary", "")), *(kind.get("secondary") or [])],
        "formats": held.get("formats") or [],
        "years": [str(year) for year in about.get("date_created") or []],
        "run_period": about.get("run_period") or [],
        "collision_energy": collision.get("energy"),
        "collision_type": collision.get("type"),
        "number_events": held.get("number_events"),
        "number_files": held.get("number_files"),
        "size_bytes": held.get("size"),
        "availability": about.get("availability") or held.get("availability"),
        "license": (about.get("license") or {}).get("attribution"),
        "doi": about.get("doi"),
        "url": f"{portal.url}/record/{recid}",
    }


def read_files(answer: Answer) -> list[dict[str, Any]]:
    """Read the files of a record: those that it holds itself, then those of its indexes.

    Raises:
        ComputationError: It is no record.
    """
    found = read_json(answer)
    about = found.get("metadata") if isinstance(found, dict) else None
    if not isinstance(about, dict):
        raise malformed("record", answer, "it has no metadata")
    return list(_listed(about))


def _listed(about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in about.get("_files") or about.get("files") or []:
        if not str(entry.get("key", "")).endswith(("_file_index.json", "_file_index.txt")):
            yield entry
    for index in about.get("_file_indices") or []:
        yield from index.get("files") or []


def _file(entry: dict[str, Any], portal: Service) -> dict[str, Any]:
    uri = str(entry.get("uri", ""))
    path = "/" + urlsplit(uri).path.lstrip("/")
    name = entry.get("filename") or entry.get("key") or path
    return {
        "name": PurePosixPath(str(name)).name,
        "size_bytes": entry.get("size"),
        "checksum": entry.get("checksum"),
        "availability": entry.get("availability"),
        "uri": uri,
        "url": portal.url + quote(path) if path.startswith("/eos/opendata/") else None,
    }


def _download(datasets: list[dict[str, Any]], portal: Service, client: Client, context: Context) -> None:
    wanted = [(dataset, file) for dataset in datasets for file in dataset["files"]]
    limit = context.web.max_download_mb if not context.allow_large else float("inf")
    size = sum(file["size_bytes"] or 0 for _, file in wanted)
    if size > limit * MB:
        raise ResourceError(
            f"The {len(wanted)} files have {size / MB:.0f} MB, and one node may fetch {limit:g} MB.",
            hint="Lower max_files or max_results, raise web.max_download_mb, or set allow_large: true on this node.",
            details={"size_mb": size / MB, "limit_mb": limit},
        )
    left = limit
    for dataset, file in wanted:
        if file["url"] is None or file["availability"] == "on demand":
            context.warn(f"{file['name']} of record {dataset['recid']} is not on disk at CERN; request it at its page.")
            continue
        name = re.sub(r"[^\w.+-]", "_", f"{dataset['recid']}_{file['name']}")
        place = file["url"].removeprefix(portal.url)
        path = client.fetch_file(portal, place, name, limit_mb=left, check=partial(verify, file))
        left -= path.stat().st_size / MB
        file["verified"] = str(file["checksum"] or "").startswith("adler32:")
        if not file["verified"]:
            context.warn(
                f"{file['name']} was not verified: its checksum is '{file['checksum']}', only adler32 is known."
            )
        caption = f"{file['name']} of '{dataset['title']}', CERN Open Data record {dataset['recid']}."
        file["path"] = context.save(path, name, role="data", caption=caption, field="datasets")
        file["sha256"] = client.sources[-1]["sha256"]


def verify(file: dict[str, Any], path: Path) -> None:
    """Hold a file against the size and the Adler-32 that the portal states.

    Raises:
        ComputationError: They differ.
    """
    size = path.stat().st_size
    if file["size_bytes"] is not None and size != file["size_bytes"]:
        raise ComputationError(
            f"{file['name']} has {size} bytes instead of {file['size_bytes']}.", hint="Nothing was kept; run again."
        )
    kind, _, stated = str(file["checksum"] or "").partition(":")
    if kind == "adler32" and stated.lower().lstrip("0") != f"{(found := adler32(path)):x}":
        raise ComputationError(
            f"{file['name']} has the Adler-32 {found:08x} instead of {stated}.", hint="Nothing was kept; run again."
        )


def adler32(path: Path) -> int:
    """Return the Adler-32 of a file (RFC 1950)."""
    value = 1
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            value = zlib.adler32(chunk, value)
    return value
