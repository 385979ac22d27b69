"""`api_tools`: papers, data and constants of public services.

What a service says changes with time, so no result of these methods is taken from the cache of nodes
(`lasting=False`): each run asks again. Asking again is cheap, because answers are kept in the lab's home for a day
(`web.max_age_h`, `max_age`), and nothing that depends on a field is computed again while the field stays the same.
Times and ages stand in `meta` alone, so that they do not make fields differ.
"""

from __future__ import annotations

from typing import Any

from physlab.model import Visuals
from physlab.tools.archives import arxiv, cernportal, nasa, nist
from physlab.tools.archives import pictures as api_pictures
from physlab.tools.archives.params import ArxivParams, CernParams, NasaParams, NistParams
from physlab.tools.context import Context
from physlab.tools.figures import IMPORTS, SERIES_PORTS, STATIC_PORTS
from physlab.tools.registry import NO_VISUALS, Port, registry

ASKING: dict[str, Any] = {
    "visuals": NO_VISUALS,
    "lasting": False,
    "time_limit_s": 300.0,
    "kind": "lookup",
}
DRAWN: dict[str, Any] = {
    "can": Visuals(static=True, series=True, animation=False),
    "libraries": ("httpx", "numpy", "matplotlib"),
    "imports": (*IMPORTS, "httpx"),
}
COUNTS = (
    Port("total_found", "number", description="How many match in all"),
    Port("returned", "number", description="How many are here"),
)

registry.tool("api_tools", summary="Papers, data and constants of arXiv, CERN, NASA and NIST.", discriminator="api")


@registry.method(
    "api_tools",
    "arxiv",
    params=ArxivParams,
    returns=(
        Port(
            "papers",
            "list",
            description="id, title, summary, authors, published, updated, categories, primary_category, pdf_url, "
            "abs_url, doi, journal_ref, comment; pdf_path and pdf_sha256 when downloaded",
        ),
        Port("query", "text", description="The query as given"),
        Port("search_query", "text", description="The query as it was sent"),
        *COUNTS,
        Port("start", "number", description="How many were passed over"),
        *STATIC_PORTS,
        *SERIES_PORTS,
    ),
    **ASKING,
    **DRAWN,
)
def ask_arxiv(params: ArxivParams, context: Context) -> dict[str, Any]:
    """Search papers in arXiv, and fetch their PDFs.

    Args:
        params: What to look for.
        context: Settings, limits, the call's folder.

    Returns:
        Papers; `total_found` is how many match in all. The picture shows papers per month.

    Raises:
        ValidationError: arXiv does not understand the query.
        ResourceError: arXiv cannot be reached and has not answered this before.
    """
    fields = arxiv.search(params, context)
    columns = ("id", "published", "updated", "primary_category", "title", "authors", "doi", "abs_url")
    fields |= api_pictures.outputs(
        context, fields["papers"], "arxiv_papers", f"Papers in arXiv: {fields['search_query']}.", columns
    )
    if context.wants("static"):
        fields |= api_pictures.draw_months(context, fields["papers"], fields["search_query"])
    return fields


@registry.method(
    "api_tools",
    "cern",
    params=CernParams,
    returns=(
        Port(
            "datasets",
            "list",
            description="recid, title, experiment, type, formats, years, run_period, collision_energy, collision_type, "
            "number_events, number_files, size_bytes, availability, license, doi, url, files_found, files: name, "
            "size_bytes, checksum, availability, uri, url; path, sha256 and verified when downloaded",
        ),
        *COUNTS,
        *SERIES_PORTS,
    ),
    can=Visuals(static=False, series=True, animation=False),
    libraries=("httpx",),
    imports=("httpx",),
    **ASKING,
)
def ask_cern(params: CernParams, context: Context) -> dict[str, Any]:
    """Search datasets of the CERN Open Data portal, list their files, and fetch them.

    Args:
        params: What to look for.
        context: Settings, limits, the call's folder.

    Returns:
        Datasets with their files; `total_found` is how many match in all. The series lists all files.

    Raises:
        ResourceError: The portal cannot be reached and has not answered this before, or the files are too large.
        ComputationError: A fetched file has not its size or checksum.
    """
    fields = cernportal.search(params, context)
    rows = [
        {"recid": dataset["recid"], "title": dataset["title"], **file}
        for dataset in fields["datasets"]
        for file in dataset.get("files", [])
    ]
    columns = ("recid", "title", "name", "size_bytes", "checksum", "availability", "uri", "url")
    return fields | api_pictures.outputs(context, rows, "cern_files", "Files in the CERN Open Data portal.", columns)


@registry.method(
    "api_tools",
    "nasa",
    params=NasaParams,
    returns=(
        Port("datasets", "list", description="Observations or datasets, with times in UTC and units in the names"),
        Port("dataset_type", "text", description="As given"),
        Port("archive", "text", description="Who answered: MAST, CMR, PDS or CDAWeb"),
        *COUNTS,
        *STATIC_PORTS,
        *SERIES_PORTS,
    ),
    **ASKING,
    **DRAWN,
)
def ask_nasa(params: NasaParams, context: Context) -> dict[str, Any]:
    """Search NASA's archives: observations of the sky, data of the Earth, the planets and the heliosphere.

    Args:
        params: What to look for.
        context: Settings, limits, the call's folder.

    Returns:
        Datasets; `total_found` is how many match in all. The picture shows the sky, or the time covered.

    Raises:
        ResourceError: The archive cannot be reached and has not answered this before.
        ComputationError: The answer is not what it should be.
    """
    fields = nasa.search(params, context)
    sky = params.dataset_type == "astronomy"
    columns = ("id", "title", "mission", "instrument", "start", "end") if not sky else (
        "id", "mission", "instrument", "target", "ra_deg", "dec_deg", "separation_arcmin", "start", "end", "exposure_s",
        "wavelength_min_nm", "wavelength_max_nm", "filters", "proposal",
    )  # fmt: skip
    caption = f"{fields['returned']} of {fields['total_found']} matches in {fields['archive']}."
    fields |= api_pictures.outputs(context, fields["datasets"], f"nasa_{params.dataset_type}", caption, columns)
    if context.wants("static") and sky:
        fields |= api_pictures.draw_sky(context, fields["datasets"], params.coordinates)
    elif context.wants("static"):
        fields |= api_pictures.draw_spans(context, fields["datasets"], fields["archive"])
    return fields


@registry.method(
    "api_tools",
    "nist",
    params=NistParams,
    returns=(
        Port("data", "list", description="Rows, with units in the names"),
        Port("data_type", "text", description="As given"),
        Port("property", "text", description="atomic: lines or levels"),
        Port("spectrum", "text", description="atomic: the spectrum that was asked for"),
        Port("wavelength_nm", "array", "nanometer", "Lines: observed, else Ritz wavelength in vacuum, (lines,)"),
        Port("intensity", "array", description="Lines: relative intensity, NaN where there is none, (lines,)"),
        Port("energy_eV", "array", "electron_volt", "Levels: energy above the ground state, (levels,)"),
        Port("ionization_energy_eV", "number", "electron_volt", "Levels: lowest ionisation limit"),
        Port("source", "text", description="What to cite"),
        Port("format", "text", description="Form of the file"),
        Port("data_path", "file", description="The rows as JSON, XML or CSV"),
        *COUNTS,
        *STATIC_PORTS,
        *SERIES_PORTS,
    ),
    **ASKING,
    **{**DRAWN, "libraries": ("httpx", "numpy", "matplotlib", "scipy")},
)
def ask_nist(params: NistParams, context: Context) -> dict[str, Any]:
    """Look up atomic lines and levels, constants, and records of the data repository at NIST.

    Args:
        params: What to look up.
        context: Settings, limits, the call's folder.

    Returns:
        Rows and what to cite. The picture shows the spectrum, or the levels by term.

    Raises:
        ValidationError: NIST does not offer this, or the atom does not exist.
        ResourceError: NIST cannot be reached and has not answered this before.
        ComputationError: The answer is not what it should be.
    """
    fields = nist.look_up(params, context)
    rows = fields["data"]
    columns = tuple(rows[0]) if rows else ("data",)
    caption = f"{fields['returned']} rows. {fields['source']}."
    fields |= api_pictures.outputs(context, rows, f"nist_{params.data_type}_rows", caption, columns)
    if context.wants("static") and fields.get("property") == "lines":
        fields |= api_pictures.draw_lines(context, rows, fields["spectrum"])
    elif context.wants("static") and fields.get("property") == "levels":
        fields |= api_pictures.draw_levels(context, rows, fields["spectrum"], fields["ionization_energy_eV"])
    return fields


for name in ("arxiv", "cern", "nasa", "nist"):
    registry.alias(f"api_{name}", "api_tools", name)
