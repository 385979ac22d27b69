"""Steps on data: reading files, spectra, filters, and searches in archives."""

from __future__ import annotations

import re
from pathlib import PurePath

from physlab.language.clauses import Clause
from physlab.language.story import FIGURE, Spec, Story, Thing, UnclearError

_READERS = {
    ".csv": ("import_csv", "file", "columns.{}"),
    ".h5": ("import_hdf5", "file_path", "data"),
    ".hdf5": ("import_hdf5", "file_path", "data"),
    ".fits": ("import_fits", "file_path", "data"),
    ".fit": ("import_fits", "file_path", "data"),
    ".root": ("import_root", "file_path", "data.{}"),
}
_READ = re.compile(
    r"(?:load|read|import|open|take)\s+(?:the )?(?:(?:column|branch|dataset)\s+(?P<column>\S+)\s+(?:of|from|in)\s+)?"
    r"(?:the )?(?:file\s+|data (?:of|from|in)\s+)?[\"']?(?P<file>[^\"'\s]+\.(?P<ext>\w+))[\"']?",
    re.IGNORECASE,
)
_RATE = re.compile(
    r",?\s+(?:sampled\s+)?(?:at|with)\s+(?:a )?(?:sampl(?:e|ing) (?:rate|frequency)(?: of)?\s+)?"
    r"(?P<rate>[.\d]+(?:e\d+)?)\s*(?P<unit>k?hz|samples per second)?$",
    re.IGNORECASE,
)
_SIGNAL = r"(?:it|that|this|(?:the )?(?:signal|data|result|column(?:\s+(?P<column>\w+))?))"
_SPECTRUM = re.compile(
    rf"(?:(?:take|compute|calculate|show|plot|do|find)\s+)?(?:the |an? |its )?(?P<kind>fft|(?:power )?spectrum|"
    rf"fourier transform|spectrogram|wavelet transform)(?:\s+(?:of|on|for)\s+{_SIGNAL})?",
    re.IGNORECASE,
)
_FILTER = re.compile(
    rf"(?:filter|(?:apply|use) an?)\s+(?:{_SIGNAL}\s+)?(?:(?:with|by|through|using)\s+(?:a\s+)?)?"
    r"(?P<kind>low-?pass|high-?pass|band-?pass|band-?stop)?(?:\s+filter)?\s*(?:(?:below|above|at|between)\s+)?"
    r"(?P<lo>[.\d]+)(?:\s*(?:hz)?\s*(?:and|to|-)\s*(?P<hi>[.\d]+))?\s*hz",
    re.IGNORECASE,
)
_ARXIV = re.compile(
    r"(?:search\s+(?:the\s+)?arxiv\s+(?:for\s+)?|(?:find |get |search(?: for)? )?(?:the )?(?:latest |newest |recent )?"
    r"(?:(?P<n>\d+) )?(?:arxiv )?(?:papers|preprints|articles)(?:\s+on arxiv)?\s+(?:on|about)\s+)(?P<query>.+)",
    re.IGNORECASE,
)
_LINES = re.compile(
    r"(?:(?:show|get|find|look up)\s+)?(?:the )?(?:(?:spectral|atomic|emission|nist)\s+)+lines? (?:of|for)\s+"
    r"(?P<element>[A-Za-z]+(?: [IVX]+)?)",
    re.IGNORECASE,
)


def read_file(clause: Clause, story: Story) -> bool:
    """Read `load column angle from pendulum.csv`."""
    match = _READ.fullmatch(clause.text)
    if match is None:
        return False
    suffix = PurePath(match["file"]).suffix.lower()
    if suffix not in _READERS:
        raise UnclearError(f"files of the kind '{suffix}' are not read: {', '.join(_READERS)} are")
    method, name, field = _READERS[suffix]
    params: Spec = {name: match["file"]}
    column = match["column"]
    if column and suffix in (".h5", ".hdf5"):
        params["dataset_path"] = column
    node = story.add("data", "data", method, params)
    needs = "{}" in field
    value = f"from:{node}.{field.format(column)}" if column or not needs else None
    why = f"'{match['file']}' has columns: say which, 'load column … from {match['file']}'"
    story.it = Thing(data=value, why="" if value else why)
    return True


def spectrum(clause: Clause, story: Story) -> bool:
    """Read `take the FFT of it at 1000 Hz`, `the spectrogram of the signal with sample rate 8000`."""
    rate = _RATE.search(clause.text)
    match = _SPECTRUM.fullmatch(clause.text[: rate.start()] if rate else clause.text)
    if match is None:
        return False
    kind = match["kind"].lower()
    params = _signal(clause, rate, story)
    if kind in ("spectrogram", "wavelet transform"):
        story.add(kind.split()[0], "data", kind.split()[0], params, {**FIGURE, "series": False})
        return True
    node = story.add("spectrum", "data", "fft", params, FIGURE)
    story.it = Thing(data=f"from:{node}.magnitude", axis=f"from:{node}.frequencies")
    return True


def filter_signal(clause: Clause, story: Story) -> bool:
    """Read `filter it with a lowpass below 5 Hz at 100 Hz`."""
    rate = _RATE.search(clause.text)
    match = _FILTER.fullmatch(clause.text) or (_FILTER.fullmatch(clause.text[: rate.start()]) if rate else None)
    if match is None:
        return False
    same = rate is not None and match.end() == len(clause.text)  # the only number is the cut-off
    kind = (match["kind"] or ("bandpass" if match["hi"] else "lowpass")).replace("-", "").lower()
    params = _signal(clause, None if same else rate, story)
    cutoff = [float(match["lo"]), float(match["hi"])] if match["hi"] else float(match["lo"])
    node = story.add("filtered", "data", "filter", params | {"filter_type": kind, "cutoff_freq": cutoff}, FIGURE)
    story.it = Thing(data=f"from:{node}.filtered_signal", rate=params["sample_rate"])
    return True


def _signal(clause: Clause, rate: re.Match[str] | None, story: Story) -> Spec:
    if story.it is None or story.it.data is None:
        raise UnclearError(
            (story.it and story.it.why) or "there is no signal before: say 'load column v from file.csv'"
        )
    known = story.it.rate
    if rate is not None:
        known = float(rate["rate"]) * (1e3 if (rate["unit"] or "").lower() == "khz" else 1)
    if known is None:
        raise UnclearError("the sample rate is missing: say '… at 1000 Hz'")
    return {"signal_data": story.it.data, "sample_rate": known}


def archive(clause: Clause, story: Story) -> bool:
    """Read `search arXiv for dark matter`, `the spectral lines of hydrogen`."""
    papers = _ARXIV.fullmatch(clause.text)
    if papers is not None:
        params: Spec = {"query": papers["query"]} | ({"max_results": int(papers["n"])} if papers["n"] else {})
        story.add("papers", "api_tools", "arxiv", params, FIGURE)
        return True
    lines = _LINES.fullmatch(clause.text)
    if lines is None:
        return False
    story.add("lines", "api_tools", "nist", {"data_type": "atomic", "element": lines["element"]}, FIGURE)
    return True
