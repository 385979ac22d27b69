"""What `api_tools` draws and lists: papers per month, places on the sky, spans of time, spectra and levels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.figures import AMBER, BLUE, COLOURS, INK, QUIET, VERMILION, drawing, save_series, save_static

Row = dict[str, Any]
MOST_BARS, MOST_LABELS = 40, 6


def outputs(context: Context, rows: Sequence[Row], name: str, caption: str, columns: Sequence[str]) -> dict[str, Any]:
    """Write the rows as CSV where the node wants a series; lists become `a; b`."""
    if not context.wants("series"):
        return {}
    table: dict[str, Any] = {column: [_cell(row.get(column)) for row in rows] for column in columns}
    return dict(save_series(context, table, name, caption))


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else value


def draw_months(context: Context, papers: Sequence[Row], query: str) -> dict[str, Any]:
    """Draw how many papers appeared in each month."""
    months = Counter(str(paper["published"])[:7] for paper in papers if paper["published"])
    caption = f"First versions of {len(papers)} papers by month; arXiv: {query}."
    with drawing(8, 4) as figure:
        axes = figure.add_subplot()
        if not months:
            return _empty(context, figure, axes, "no papers", "arxiv_months", caption)
        first, last = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (min(months), max(months)))
        names = [f"{month // 12}-{month % 12 + 1:02d}" for month in range(first, last + 1)]
        axes.bar(range(len(names)), [months.get(name, 0) for name in names], width=0.85, color=BLUE)
        step = max(1, math.ceil(len(names) / 10))
        axes.set_xticks(range(0, len(names), step), names[::step], rotation=30, ha="right")
        axes.set_xlim(-0.8, len(names) - 0.2)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.set_ylabel("papers")
        axes.grid(False, axis="x")
        return dict(save_static(context, figure, "arxiv_months", caption))


def draw_sky(context: Context, rows: Sequence[Row], cone: Any) -> dict[str, Any]:
    """Draw where the observations point, east to the left, and the cone that was asked for."""
    placed = [row for row in rows if row["ra_deg"] is not None and row["dec_deg"] is not None]
    caption = f"Pointings of {len(placed)} observations in MAST."
    with drawing(7, 6) as figure:
        axes = figure.add_subplot()
        if not placed and cone is None:
            return _empty(context, figure, axes, "no positions", "mast_sky", caption)
        dec0 = cone.dec if cone is not None else float(np.mean([row["dec_deg"] for row in placed]))
        middle = cone.ra if cone is not None else float(placed[0]["ra_deg"])
        for colour, mission in zip(COLOURS * 20, sorted({str(r["mission"]) for r in placed}), strict=False):
            here = [row for row in placed if str(row["mission"]) == mission]
            x = [middle + (row["ra_deg"] - middle + 180) % 360 - 180 for row in here]
            axes.plot(x, [row["dec_deg"] for row in here], "o", ms=5, alpha=0.7, color=colour, label=mission)
        if cone is not None:
            angle = np.linspace(0, 2 * np.pi, 200)
            r = cone.radius / 60
            across = max(math.cos(math.radians(cone.dec)), 1e-3)
            axes.plot(cone.ra + r / across * np.cos(angle), cone.dec + r * np.sin(angle), "--", lw=1, color=INK)
            axes.plot([cone.ra], [cone.dec], "+", ms=12, color=INK)
        axes.margins(0.08)
        axes.set_aspect(1 / max(math.cos(math.radians(dec0)), 0.05), adjustable="datalim")
        axes.invert_xaxis()
        axes.ticklabel_format(useOffset=False)
        axes.set_xlabel("right ascension [deg]")
        axes.set_ylabel("declination [deg]")
        if placed:
            axes.legend(loc="upper right", frameon=True, framealpha=0.85)
        return dict(save_static(context, figure, "mast_sky", caption))


def draw_spans(context: Context, rows: Sequence[Row], archive: str) -> dict[str, Any]:
    """Draw which time each dataset covers; one without an end goes on until today's edge of the picture."""
    spans = [(_year(row["start"]), _year(row["end"]), row["title"] or row["id"]) for row in rows]
    shown = sorted((s for s in spans if s[0] is not None), key=lambda item: item[0] or 0)[:MOST_BARS]
    caption = f"Time covered by {len(shown)} of {len(rows)} datasets of {archive}."
    with drawing(9, max(2.5, 1.2 + 0.3 * len(shown))) as figure:
        axes = figure.add_subplot()
        if not shown:
            return _empty(context, figure, axes, "no dates", "coverage", caption)
        edge = max(max(end or start or 0, start or 0) for start, end, _ in shown)
        for place, (start, end, _) in enumerate(shown):
            begin, stop = start or 0.0, edge if end is None else end
            axes.barh(place, max(stop - begin, 0.02), left=begin, height=0.6, color=BLUE if end is not None else AMBER)
        axes.set_yticks(range(len(shown)), [_short(title) for _, _, title in shown], fontsize=10)
        room = 0.6 if len(shown) > 1 else 1.2
        axes.set_ylim(len(shown) - 1 + room, -room)
        axes.margins(x=0.03)
        axes.ticklabel_format(axis="x", useOffset=False, style="plain")
        axes.set_xlabel("year" + (" (lighter: still going on)" if any(end is None for _, end, _ in shown) else ""))
        axes.grid(False, axis="y")
        return dict(save_static(context, figure, "coverage", caption))


def _year(text: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return moment.year + (moment - datetime(moment.year, 1, 1, tzinfo=UTC)).total_seconds() / 31_556_952


def _short(text: str) -> str:
    text = str(text).replace("$", r"\$")
    return text if len(text) <= 48 else text[:46] + "…"


def draw_lines(context: Context, lines: Sequence[Row], spectrum: str) -> dict[str, Any]:
    """Draw a spectrum as sticks: the height is NIST's relative intensity, lines without one are ticks below."""
    seen = [line for line in lines if line["intensity"]]
    rest = [line["wavelength_nm"] for line in lines if not line["intensity"]]
    caption = f"{len(lines)} lines of {spectrum}, vacuum wavelengths, relative intensities; NIST ASD."
    with drawing(9, 4.2) as figure:
        axes = figure.add_subplot()
        if not lines:
            return _empty(context, figure, axes, "no lines", "nist_lines", caption)
        heights = np.array([line["intensity"] for line in seen], dtype=float)
        x = np.array([line["wavelength_nm"] for line in seen], dtype=float)
        wide = heights.size > 1 and heights.max() > 300 * heights.min()
        floor = heights.min() / 3 if wide else 0.0
        axes.vlines(x, floor, heights, color=BLUE, lw=1.2)
        if wide:
            axes.set_yscale("log")
        top = float(heights.max()) if heights.size else 1.0
        axes.set_ylim(floor, top * (6 if wide else 1.2))
        axes.plot(rest, np.full(len(rest), 0.02), "|", color=QUIET, ms=7, transform=axes.get_xaxis_transform())
        everything = [line["wavelength_nm"] for line in lines]
        span = (max(everything) - min(everything)) or 1.0
        labelled: list[float] = []
        for place in np.argsort(-heights):
            if len(labelled) < MOST_LABELS and all(abs(x[place] - other) > 0.06 * span for other in labelled):
                labelled.append(float(x[place]))
                note = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center", "fontsize": 10}
                axes.annotate(f"{x[place]:.2f}", (x[place], heights[place]), **note)
        axes.set_xlim(min(everything) - 0.04 * span, max(everything) + 0.04 * span)
        axes.ticklabel_format(axis="x", useOffset=False, style="plain")
        axes.set_xlabel("wavelength in vacuum [nm]")
        axes.set_ylabel("relative intensity")
        axes.set_title(spectrum)
        axes.grid(False, axis="x")
        return dict(save_static(context, figure, "nist_lines", caption))


def draw_levels(context: Context, levels: Sequence[Row], spectrum: str, limit: float | None) -> dict[str, Any]:
    """Draw levels, a column for each term, and the ionisation limit."""
    terms = sorted({str(level["term"] or "–") for level in levels}, key=_term_order)
    caption = f"{len(levels)} levels of {spectrum} by term; NIST ASD."
    with drawing(max(6, min(14, 2 + 0.55 * len(terms))), 6) as figure:
        axes = figure.add_subplot()
        if not levels:
            return _empty(context, figure, axes, "no levels", "nist_levels", caption)
        for level in levels:
            place = terms.index(str(level["term"] or "–"))
            axes.hlines(level["energy_eV"], place - 0.36, place + 0.36, color=BLUE, lw=1.1)
        if limit is not None:
            axes.axhline(limit, color=VERMILION, ls="--", lw=1.1)
            note = {"ha": "right", "va": "bottom", "color": VERMILION, "fontsize": 11}
            axes.annotate(f"ionisation {limit:.5g} eV", (0.99, limit), xycoords=axes.get_yaxis_transform(), **note)
        axes.set_xticks(range(len(terms)), [_spell_term(term) for term in terms], rotation=0 if len(terms) < 16 else 90)
        axes.set_xlim(-0.7, len(terms) - 0.3)
        axes.margins(y=0.06)
        axes.set_ylabel("energy above the ground state [eV]")
        axes.set_title(spectrum)
        axes.grid(False, axis="x")
        return dict(save_static(context, figure, "nist_levels", caption))


def _term_order(term: str) -> tuple[int, int, str]:
    letters = "SPDFGHIKLMNOQRTUV"
    found = next((sign for sign in term if sign in letters), None)
    return (int(term[0]) if term[:1].isdigit() else 99, letters.index(found) if found else 99, term)


def _spell_term(term: str) -> str:
    """Return `2P*` as ²P°."""
    if len(term) > 1 and term[0].isdigit() and term[1].isalpha():
        odd = r"^{\circ}" if term.endswith("*") else ""
        return rf"$^{{{term[0]}}}\mathrm{{{term[1:].rstrip('*')}}}{odd}$" if term[1:].rstrip("*").isalnum() else term
    return term


def _empty(context: Context, figure: Any, axes: Any, text: str, name: str, caption: str) -> dict[str, Any]:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=QUIET, fontsize=16, transform=axes.transAxes)
    return dict(save_static(context, figure, name, caption))
