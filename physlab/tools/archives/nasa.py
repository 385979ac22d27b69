"""NASA's archives: MAST (astronomy), CMR (Earth), PDS (planets), CDAWeb (heliophysics); no key is needed for any."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from physlab.errors import ComputationError
from physlab.tools.archives import mast
from physlab.tools.archives.params import NasaParams
from physlab.tools.archives.web import Client
from physlab.tools.archives.webanswer import Answer, Service, malformed, read_json
from physlab.tools.context import Context

Found = tuple[list[dict[str, Any]], int]
PDS_FIELDS = {
    "mission": "pds:Investigation_Area.pds:name",
    "instrument": "pds:Observing_System_Component.pds:name",
    "target": "pds:Target_Identification.pds:name",
    "start": "pds:Time_Coordinates.pds:start_date_time",
    "end": "pds:Time_Coordinates.pds:stop_date_time",
    "level": "pds:Primary_Result_Summary.pds:processing_level",
    "label": "ops:Label_File_Info.ops:file_ref",
}


def search(params: NasaParams, context: Context) -> dict[str, Any]:
    """Search the archive of a field.

    Args:
        params: Field, mission, instrument, words, dates, cone.
        context: Settings, limits, the call's folder.

    Returns:
        Datasets (astronomy: observations), the archive's name, and how many match in all.

    Raises:
        ResourceError: The archive cannot be reached and has not answered this before.
        ComputationError: The answer is not what it should be.
    """
    client = Client(context, params.max_age)
    archive, ask = ARCHIVES[params.dataset_type]
    datasets, total = ask(params, client)
    client.finish()
    if total > len(datasets):
        context.warn(f"{archive} has {total} matches; the first {len(datasets)} are here.")
    return {
        "datasets": datasets,
        "dataset_type": params.dataset_type,
        "archive": archive,
        "total_found": total,
        "returned": len(datasets),
    }


def _span(params: NasaParams) -> tuple[str, str]:
    span = params.date_range
    if span is None:
        return "", ""
    return _iso(span.first), _iso(span.last)


def _iso(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else ""


def earth(params: NasaParams, client: Client) -> Found:
    """Search collections of Earth data (https://cmr.earthdata.nasa.gov/search/site/docs/search/api.html)."""
    cmr = Service("CMR", "cmr_url", client.web.cmr_url, client.web.nasa_delay_s)
    fields = [("page_size", str(params.max_results))]
    for name, text in (("platform", params.mission), ("instrument", params.instrument)):
        if text is not None:
            fields.append((name, text))
            if "*" in text:
                fields.append((f"options[{name}][pattern]", "true"))
    if params.keyword is not None:
        fields.append(("keyword", params.keyword))
    if params.date_range is not None:
        fields.append(("temporal", ",".join(_span(params))))
    return client.ask(cmr, "/search/collections.json", fields, accept="application/json", read=_read_cmr)


def _read_cmr(answer: Answer) -> Found:
    found = read_json(answer)
    feed = found.get("feed") if isinstance(found, dict) else None
    if not isinstance(feed, dict) or not isinstance(feed.get("entry"), list):
        raise malformed("list of collections", answer, "it has no feed")
    hits = answer.headers.get("cmr-hits", "")
    return [_collection(entry) for entry in feed["entry"]], int(hits) if hits.isdigit() else len(feed["entry"])


def _collection(entry: dict[str, Any]) -> dict[str, Any]:
    links = entry.get("links") or []
    return {
        "id": str(entry.get("id", "")),
        "title": str(entry.get("title", "")),
        "short_name": entry.get("short_name"),
        "version": entry.get("version_id"),
        "summary": entry.get("summary"),
        "mission": entry.get("platforms") or [],
        "data_center": entry.get("data_center") or entry.get("archive_center"),
        "processing_level": entry.get("processing_level_id"),
        "start": entry.get("time_start"),
        "end": entry.get("time_end"),
        "boxes": entry.get("boxes") or [],
        "online": entry.get("online_access_flag"),
        "urls": [link["href"] for link in links if not link.get("inherited") and "href" in link],
    }


def planetary(params: NasaParams, client: Client) -> Found:
    """Search PDS4 collections (https://nasa-pds.github.io/pds-api/guides/search.html); PDS3 data are not in it."""
    pds = Service("PDS", "pds_url", client.web.pds_url, client.web.nasa_delay_s)
    clauses = ['product_class eq "Product_Collection"']
    for name, text in (("mission", params.mission), ("instrument", params.instrument)):
        if text is not None:
            clauses.append(f'{PDS_FIELDS[name]} like "*{_quoted(text)}*"')
    if params.keyword is not None:
        clauses.append(f'title like "*{_quoted(params.keyword)}*"')
    first, last = _span(params)
    clauses += [f'{PDS_FIELDS["start"]} le "{last}"'] * bool(last) + [f'{PDS_FIELDS["end"]} ge "{first}"'] * bool(first)
    fields = (
        ("q", "(" + " and ".join(clauses) + ")"),
        ("fields", ",".join(["lid", "title", *PDS_FIELDS.values()])),
        ("limit", str(params.max_results)),
    )
    return client.ask(pds, "/api/search/1/products", fields, accept="application/json", read=_read_pds)


def _quoted(text: str) -> str:
    return text.replace("\\", " ").replace('"', " ").strip("* ")


def _read_pds(answer: Answer) -> Found:
    found = read_json(answer)
    summary = found.get("summary") if isinstance(found, dict) else None
    if not isinstance(summary, dict) or not isinstance(summary.get("hits"), int):
        raise malformed("list of products", answer, "it has no summary")
    return [_product(entry) for entry in found.get("data") or []], summary["hits"]


def _product(entry: dict[str, Any]) -> dict[str, Any]:
    about = entry.get("properties") or {}

    def values(name: str) -> list[str]:
        value = about.get(PDS_FIELDS[name])
        listed = value if isinstance(value, list) else [value]
        return [str(item) for item in listed if item not in (None, "", "null")]

    return {
        "id": str(entry.get("id", "")),
        "title": str(entry.get("title", "")),
        "mission": values("mission"),
        "instrument": values("instrument"),
        "target": values("target"),
        "processing_level": values("level"),
        "start": next(iter(values("start")), None),
        "end": next(iter(values("end")), None),
        "urls": values("label"),
    }


def heliophysics(params: NasaParams, client: Client) -> Found:
    """Search the datasets of CDAWeb (https://cdaweb.gsfc.nasa.gov/WebServices/REST/).

    Its list of datasets is one answer; it is kept and looked through here, so that names may be written in any case.
    """
    cdaweb = Service("CDAWeb", "cdaweb_url", client.web.cdaweb_url, client.web.nasa_delay_s)
    path = "/WS/cdasr/1/dataviews/sp_phys/datasets"
    rows = client.ask(cdaweb, path, accept="application/json", read=_read_cdas)
    first, last = _span(params)
    found = [
        row
        for row in rows
        if _names(params.mission, [*row["observatory_group"], *row["observatory"]])
        and _names(params.instrument, [*row["instrument"], *row["instrument_type"], row["id"]])
        and _names(params.keyword, [row["title"], row["id"]])
        and (not last or (row["start"] or "") <= last)
        and (not first or (row["end"] or "9") >= first)
    ]
    return found[: params.max_results], len(found)


def _names(wanted: str | None, names: list[str]) -> bool:
    """Say whether all words of a text occur in one of the names."""
    words = (wanted or "").replace("*", " ").casefold().split()
    return any(all(word in name.casefold() for word in words) for name in [*names, *([""] if not words else [])])


def _read_cdas(answer: Answer) -> list[dict[str, Any]]:
    found = read_json(answer)
    rows = found.get("DatasetDescription") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not rows:
        raise malformed("list of datasets", answer, "it has no DatasetDescription")
    return [_dataset(row) for row in rows]


def _dataset(row: dict[str, Any]) -> dict[str, Any]:
    def listed(name: str) -> list[str]:
        value = row.get(name)
        return [str(item) for item in (value if isinstance(value, list) else [value]) if item]

    span = row.get("TimeInterval") or {}
    if not row.get("Id"):
        raise ComputationError("A dataset of CDAWeb has no Id.", hint="Report it: its form may have changed.")
    return {
        "id": str(row["Id"]),
        "title": str(row.get("Label", "")),
        "observatory": listed("Observatory"),
        "observatory_group": listed("ObservatoryGroup"),
        "instrument": listed("Instrument"),
        "instrument_type": listed("InstrumentType"),
        "start": span.get("Start"),
        "end": span.get("End"),
        "pi": row.get("PiName"),
        "doi": row.get("Doi"),
        "spase_id": row.get("ResourceId") or row.get("SpaseResourceId"),
        "urls": [link["Url"] for link in row.get("DatasetLink") or [] if isinstance(link, dict) and link.get("Url")],
    }


ARCHIVES = {
    "astronomy": ("MAST", mast.search),
    "earth": ("CMR", earth),
    "planetary": ("PDS", planetary),
    "heliophysics": ("CDAWeb", heliophysics),
}
