"""HDF5, FITS and ROOT: what other programs write is read, what is written is read back, what is broken is explained."""

from __future__ import annotations

import contextlib
import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from physlab.errors import MissingExtraError, ValidationError

h5py = pytest.importorskip("h5py")
fits = pytest.importorskip("astropy.io.fits")
uproot = pytest.importorskip("uproot")

Ask = Callable[..., Any]
QUIET = {"static": False}


@pytest.fixture
def h5(tmp_path: Path) -> str:
    """A file with one dataset of each kind."""
    path = tmp_path / "kinds.h5"
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "a run"
        file.attrs["nothing"] = h5py.Empty("f4")
        large = file.create_dataset("run/energy", data=np.arange(200.0).reshape(10, 20), compression="gzip")
        large.attrs.update(
            {"units": "eV", "sigma": np.nan, "id": 2**60, "range": np.array([1.0, 2.0]), "tags": ["a", "b"]}
        )
        file["scalar"] = 2.5
        file["text"] = "Wüste"
        file["names"] = np.array(["Vega", "Sirius"], dtype=h5py.string_dtype())
        file["fixed"] = np.array([b"abc", "é".encode("latin-1")], dtype="S3")
        file["empty"] = h5py.Empty("f8")
        file["none"] = np.empty((0, 3))
        file["complex"] = np.array([1 + 2j, np.nan])
        file["swapped"] = np.array([1.5, -2.0], dtype=">f4")
        file["flags"] = np.array([True, False])
        file["small"] = np.array([1.0, 2.0], dtype="f2")
        compound = np.array(
            [(1, b"p", (0.5, 1.5), 1j)], dtype=[("n", "<i4"), ("s", "S2"), ("v", "<f8", (2,)), ("z", "c8")]
        )
        file["compound"] = compound
        state = h5py.enum_dtype({"OFF": 0, "ON": 1}, basetype="i1")
        file.create_dataset("state", data=[0, 1, 1], dtype=state)
        rows = file.create_dataset("rows", (3,), dtype=h5py.vlen_dtype(np.float32))
        rows[0], rows[2] = [1, 2], [3]
        file["soft"] = h5py.SoftLink("/run/energy")
        file["loop"] = h5py.SoftLink("/loop")
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/x")
        file.create_dataset("pointer", data=file["run"].ref, dtype=h5py.ref_dtype)
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("outside", (4,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 32)])
        file.create_dataset("bomb", (10**6, 10**6), "f8", chunks=(100, 100))
    return str(path)


def test_hdf5_takes_the_largest_dataset_and_its_attributes(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["small"], file["deep/large"] = [1.0], np.arange(12).reshape(3, 4)
        file["deep/large"].attrs["units"] = "counts"
        file.attrs["run"] = 7
    answer = ask("data", "import_hdf5", file=str(path))
    np.testing.assert_array_equal(answer["data"], np.arange(12).reshape(3, 4))
    assert answer["data"].dtype == np.int64
    assert (answer["dataset_path"], answer["shape"], answer["dtype"]) == ("/deep/large", [3, 4], "int64")
    assert (answer["metadata"], answer["file_metadata"]) == ({"units": "counts"}, {"run": 7})
    assert answer["datasets"][0] == {"path": "/deep/large", "shape": [3, 4], "dtype": "int64"}
    assert answer["size_mb"] == pytest.approx(96e-6)
    meta = answer.context.meta
    assert (meta["format"], meta["readable"]) == ("HDF5", True) and meta["file_size_mb"] > 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("scalar", np.array(2.5)),
        ("text", "Wüste"),
        ("names", ["Vega", "Sirius"]),
        ("fixed", ["abc", "é"]),
        ("complex", np.array([1 + 2j, np.nan])),
        ("swapped", np.array([1.5, -2.0], dtype="f4")),
        ("flags", np.array([True, False])),
        ("small", np.array([1, 2], dtype="f2")),
        ("none", np.empty((0, 3))),
        ("state", np.array([0, 1, 1], dtype="i1")),
        ("/soft", np.arange(200.0).reshape(10, 20)),
        ("run/energy", np.arange(200.0).reshape(10, 20)),
    ],
)
def test_hdf5_kinds(ask: Ask, h5: str, path: str, expected: Any) -> None:
    found = ask("data", "import_hdf5", file_path=h5, dataset_path=path)["data"]
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype and found.shape == expected.shape
    else:
        assert found == expected


def test_hdf5_compounds_jagged_empty_and_attributes(ask: Ask, h5: str) -> None:
    row = ask("data", "import_hdf5", file_path=h5, dataset_path="compound")["data"]
    assert row["s"] == ["p"] and row["n"].tolist() == [1] and row["v"].tolist() == [[0.5, 1.5]] and row["z"][0] == 1j
    rows = ask("data", "import_hdf5", file_path=h5, dataset_path="rows")
    assert rows["data"]["values"].tolist() == [1, 2, 3] and rows["data"]["counts"].tolist() == [2, 0, 1]
    assert "jagged" in rows.context.warnings[0]
    empty = ask("data", "import_hdf5", file_path=h5, dataset_path="empty")
    assert empty["data"] is None and empty["shape"] is None and "null" in empty.context.warnings[0]
    found = ask("data", "import_hdf5", file_path=h5, dataset_path="run/energy")
    metadata = found["metadata"]
    assert (metadata["units"], metadata["sigma"], metadata["id"]) == ("eV", "nan", str(2**60))
    assert metadata["tags"] == ["a", "b"] and metadata["range"].tolist() == [1, 2]
    assert found["file_metadata"] == {"title": "a run", "nothing": None}
    state = ask("data", "import_hdf5", file_path=h5, dataset_path="state")
    assert state.context.meta["enums"] == {"/state": {"OFF": 0, "ON": 1}}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "no dataset 'nowhere'"),
        ("run", "is a group"),
        ("elsewhere", "link to another file"),
        ("elsewhere/deeper", "link to another file"),
        ("loop", "leads back to itself"),
        ("virtual", "virtual dataset"),
        ("outside", "stored outside its file"),
        ("pointer", "references"),
        ("bomb", "cap of 5e\\+06.*allow_large"),
    ],
)
def test_hdf5_refusals(ask: Ask, h5: str, path: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("data", "import_hdf5", file_path=h5, dataset_path=path)


VALUES = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint64, np.int8, np.bool_, np.complex128, np.complex64]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_hdf5_comes_back_bit_for_bit(ask: Ask, value: np.ndarray[Any, Any]) -> None:
    out = ask("data", "export_hdf5", data={"g": {"x": value}})
    back = ask("data", "import_hdf5", file_path=out["file_path"])["data"]
    assert back.dtype == value.dtype and back.shape == value.shape and back.tobytes() == value.tobytes()


@pytest.mark.parametrize("compression", ["gzip", "lzf", "none"])
def test_hdf5_export(ask: Ask, compression: str) -> None:
    wave = np.sin(np.arange(5000) / 50)
    params = {
        "data": {
            "wave": wave,
            "who": ["Ä", "b"],
            "note": "text",
            "deep": {"n": 3, "z": {"real": [1.0], "imag": [2.0]}},
        },
        "file_path": "out.h5",
        "compression": compression,
        "metadata": {"run": 7, "tags": ["a", "b"], "none": None, "k": [1.5, 2.5]},
        "units": {"wave": "V"},
    }
    first, second = ask("data", "export_hdf5", **params), ask("data", "export_hdf5", **params)
    assert first["file_path"].path.read_bytes() == second["file_path"].path.read_bytes()
    with h5py.File(first["file_path"].path) as file:
        assert file["wave"].compression == (None if compression == "none" else compression)
        assert file["who"].compression is None and file["who"].asstr()[0] == "Ä"
        assert file["deep/n"][()] == 3 and file["deep/z"][0] == 1 + 2j
        assert file["wave"].attrs["units"] == "V" and file.attrs["run"] == 7
    back = ask("data", "import_hdf5", file=first["file_path"])
    assert back["data"].tobytes() == wave.tobytes()
    assert back["file_metadata"]["tags"] == ["a", "b"] and back["file_metadata"]["none"] is None
    assert first["success"] and first["datasets"] == ["/wave", "/who", "/note", "/deep/n", "/deep/z"]
    assert first.context.written[0].role == "data"


def test_hdf5_bytes_do_not_depend_on_process_or_time(ask: Ask, tmp_path: Path) -> None:
    import subprocess

    from tests.architecture.source import ROOT

    code = (
        "import sys, pathlib, numpy as np\n"
        "from physlab.model import Visuals\n"
        "from physlab.tools import load_tools\n"
        "from physlab.tools.call import call_method\n"
        "from physlab.tools.context import Context\n"
        "off = Visuals(static=False, series=False, animation=False)\n"
        "context = Context(scratch=lambda: pathlib.Path(sys.argv[1]), visuals=off)\n"
        "data = {'a': np.arange(300.0), 't': ['x', 'yy'], 'g': {'s': 'text'}}\n"
        "call_method(load_tools().find('data', 'export_hdf5'), {'data': data, 'metadata': {'k': 'v'}}, context)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    data = {"a": np.arange(300.0), "t": ["x", "yy"], "g": {"s": "text"}}
    here = ask("data", "export_hdf5", data=data, metadata={"k": "v"})
    assert here["file_path"].path.read_bytes() == (tmp_path / "data.h5").read_bytes()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"data": {}}, "data"),
        ({"data": {"a": [1, "b"]}}, "'a'"),
        ({"data": {"a": [[1, 2], [3]]}}, "not rectangular"),
        ({"data": {"a": None}}, "null"),
        ({"data": {"a": {}}}, "group 'a' is empty"),
        ({"data": {"../a": 1}}, "no name"),
        ({"data": {"a": 1, "a/b": 2}}, "cannot be written"),
        ({"data": {"a": 1}, "units": {"b": "m"}}, "unit for 'b'"),
        ({"data": {"a": 1}, "metadata": {"k": {"x": 1}}}, "is an object"),
        ({"data": {"a": 1}, "metadata": {"k": [0.5] * 10_000}}, "64 KB"),
        ({"data": {"a": 1}, "file_path": "out/"}, None),
        ({"data": {"a": 1}, "file_path": ".."}, "file name"),
        ({"data": {"a": 1}, "compression": "zip"}, "compression"),
        ({"data": {"a": np.zeros(5_000_001, dtype="i1")}}, "cap of 5e\\+06"),
    ],
)
def test_hdf5_export_refusals(ask: Ask, params: dict[str, Any], message: str | None) -> None:
    if message is None:  # a folder is no reason to fail, but it is said that nothing goes there
        assert "lies in the store as 'out'" in ask("data", "export_hdf5", **params).context.warnings[0]
        return
    with pytest.raises(ValidationError, match=message):
        ask("data", "export_hdf5", **params)


@pytest.fixture
def sky(tmp_path: Path) -> str:
    """A FITS file with image, tables, and a compressed image."""
    path = tmp_path / "sky.fits"
    primary = fits.PrimaryHDU()
    primary.header["OBSERVER"] = ("Huggins", "who looked")
    primary.header["EMPTY"] = None
    primary.header.add_history("first line")
    primary.header.add_history("second line")
    image = fits.ImageHDU(np.arange(12, dtype=np.uint16).reshape(3, 4) + 40_000, name="SCI")
    image.header.update({"BUNIT": "adu", "CTYPE1": "RA---TAN", "CRVAL1": 83.633, "CD1_1": -1.5e-4, "BIG": 2**60})
    scaled = fits.ImageHDU(np.array([[1, -5], [3, 4]], dtype=np.int16), name="SCALED")
    columns = [
        fits.Column("flux", "E", unit="Jy", array=np.array([1.5, 2.5, np.nan], dtype="f4")),
        fits.Column("id", "K", array=[1, 2, 3]),
        fits.Column("name", "8A", array=["Vega", "Sirius", "Rigel"]),
        fits.Column("ok", "L", array=[True, False, True]),
        fits.Column("pair", "2D", array=np.arange(6.0).reshape(3, 2)),
        fits.Column("z", "C", array=np.array([1j, 2, 3], dtype="c8")),
        fits.Column("count", "I", null=-99, array=np.array([1, -99, 3], dtype="i2")),
        fits.Column("u", "J", bzero=2**31, array=np.array([1, 2, 2**32 - 1], dtype="u4")),
        fits.Column("list", "PE()", array=np.array([[1.0], [2.0, 3.0], []], dtype=object)),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="STARS")
    packed = fits.CompImageHDU(np.arange(10_000, dtype=np.int32).reshape(100, 100), name="PACKED")
    text = fits.TableHDU.from_columns(
        [fits.Column("a", "I5", array=[1, 22]), fits.Column("b", "A3", array=["x", "yz"])]
    )
    fits.HDUList([primary, image, scaled, table, packed, text]).writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus["SCALED"].header.update({"BSCALE": 0.5, "BZERO": 10.0, "BLANK": -5})
    return str(path)


def test_a_fits_image_with_its_header(ask: Ask, sky: str) -> None:
    answer = ask("data", "import_fits", file_path=sky, hdu_index=1)
    np.testing.assert_array_equal(answer["data"], np.arange(12).reshape(3, 4) + 40_000)
    assert answer["data"].dtype == np.uint16 and answer["units"] == {"data": "adu"}
    header = answer["header"]
    assert (header["BZERO"], header["BITPIX"], header["CTYPE1"], header["CRVAL1"]) == (32768, 16, "RA---TAN", 83.633)
    assert header["CD1_1"] == -1.5e-4 and header["BIG"] == str(2**60)
    assert [item["name"] for item in answer["hdu_info"]] == ["PRIMARY", "SCI", "SCALED", "STARS", "PACKED", ""]
    assert answer["hdu_info"][3] == {"index": 3, "name": "STARS", "type": "BinTableHDU", "shape": [3]}
    meta = answer.context.meta
    assert (meta["hdu_count"], meta["current_hdu"], meta["format"]) == (6, 1, "FITS")


def test_fits_scaling_blanks_compression_and_names(ask: Ask, sky: str) -> None:
    scaled = ask("data", "import_fits", file=sky, hdu_index="scaled")
    np.testing.assert_array_equal(scaled["data"], [[10.5, np.nan], [11.5, 12.0]])  # 10 + 0.5 n, BLANK is NaN
    assert (scaled["header"]["BSCALE"], scaled["header"]["BLANK"]) == (0.5, -5)
    packed = ask("data", "import_fits", file=sky, hdu_index="PACKED")
    np.testing.assert_array_equal(packed["data"], np.arange(10_000).reshape(100, 100))
    primary = ask("data", "import_fits", file=sky)
    assert primary["data"] is None and "1 SCI" in primary.context.warnings[0]
    assert primary["header"]["OBSERVER"] == "Huggins" and primary["header_comments"]["OBSERVER"] == "who looked"
    assert primary["header"]["HISTORY"] == ["first line", "second line"] and primary["header"]["EMPTY"] is None


def test_a_fits_table(ask: Ask, sky: str) -> None:
    answer = ask("data", "import_fits", file_path=sky, hdu_index=3)
    data = answer["data"]
    np.testing.assert_array_equal(data["flux"], np.array([1.5, 2.5, np.nan], dtype="f4"))
    assert data["flux"].dtype == np.dtype("f4") and data["id"].tolist() == [1, 2, 3]
    assert data["name"] == ["Vega", "Sirius", "Rigel"] and data["ok"].tolist() == [True, False, True]
    assert data["pair"].shape == (3, 2) and data["z"][0] == 1j
    np.testing.assert_array_equal(data["count"], [1, np.nan, 3])
    assert data["u"].tolist() == [1, 2, 2**32 - 1]
    assert data["list"]["values"].tolist() == [1, 2, 3] and data["list"]["counts"].tolist() == [1, 2, 0]
    assert answer["units"]["flux"] == "Jy" and answer["units"]["id"] is None and answer["dtype"]["flux"] == "E"
    assert answer["shape"] == [3]
    assert any("TNULL" in text for text in answer.context.warnings)
    text = ask("data", "import_fits", file_path=sky, hdu_index=5)
    assert text["data"]["a"].tolist() == [1, 22] and text["data"]["b"] == ["x", "yz"]


def test_fits_in_gzip(ask: Ask, sky: str, tmp_path: Path) -> None:
    packed = tmp_path / "sky.fits.gz"
    packed.write_bytes(gzip.compress(Path(sky).read_bytes()))
    assert ask("data", "import_fits", file_path=str(packed), hdu_index=1)["shape"] == [3, 4]


@pytest.mark.parametrize(
    ("index", "message"), [(6, "has 6 HDUs"), (-1, "has 6 HDUs"), ("STARZ", "Did you mean 'STARS'"), ("  ", "no HDU")]
)
def test_a_missing_hdu_is_named(ask: Ask, sky: str, index: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("data", "import_fits", file_path=sky, hdu_index=index)


IMAGES = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint64, np.int16, np.uint16, np.int8, np.uint8]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6),
    elements={"allow_nan": False},
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(IMAGES)
def test_fits_images_and_columns_come_back(ask: Ask, image: np.ndarray[Any, Any]) -> None:
    out = ask("data", "export_fits", data=image)
    again = ask("data", "export_fits", data=image)
    assert out["file_path"].path.read_bytes() == again["file_path"].path.read_bytes()
    back = ask("data", "import_fits", file_path=out["file_path"])["data"]
    assert back.dtype == image.dtype and back.tobytes() == image.tobytes()
    table = ask("data", "export_fits", data={"x": image})
    column = ask("data", "import_fits", file_path=table["file_path"], hdu_index=1)["data"]["x"]
    assert column.shape == (image.shape if image.size > len(image) else (len(image),))
    assert column.dtype == image.dtype and column.tobytes() == image.tobytes()


def test_a_fits_header_goes_out_and_comes_back(ask: Ask, sky: str) -> None:
    source = ask("data", "import_fits", file_path=sky, hdu_index=1)
    header = {**source["header"], "HISTORY": ["a", "b"]}
    out = ask("data", "export_fits", data=source["data"].astype(float), header=header,
              units={"BUNIT": "adu"}, file_path="new.fits")  # fmt: skip
    assert "BZERO" in out["header_left_out"] and "CTYPE1" not in out["header_left_out"]
    back = ask("data", "import_fits", file_path=out["file_path"])
    assert (
        back["header"]["CRVAL1"] == 83.633
        and back["header"]["BITPIX"] == -64
        and back["header"]["HISTORY"] == ["a", "b"]
    )
    columns = {"t": [0.5, 1.5], "who": ["a", "bc"], "ok": [True, False], "z": np.array([1j, 2])}
    table = ask("data", "export_fits", data=columns, units={"t": "s"}, header={"TELESCOP": "eye"})
    read = ask("data", "import_fits", file_path=table["file_path"], hdu_index=1)
    assert read["data"]["who"] == ["a", "bc"] and read["units"]["t"] == "s" and read["data"]["z"].tolist() == [1j, 2]
    assert read["data"]["ok"].dtype == bool and read["header"]["TELESCOP"] == "eye"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"data": 3.0}, "shape"),
        ({"data": np.ones(2) * 1j}, "complex128"),
        ({"data": np.ones(2, dtype=bool)}, "bool"),
        ({"data": {"a": [1], "b": [1, 2]}}, "different lengths"),
        ({"data": {"a": ["é"]}}, "ASCII"),
        ({"data": {"a": [1, None]}}, "'a'"),
        ({"data": [1.0], "header": {"KEY": {"x": 1}}}, "header.KEY"),
        ({"data": [1.0], "header": {"KEY": "é"}}, "header"),
        ({"data": [1.0], "header": {"KEY": float("nan")}}, "header"),
        ({"data": {"a": [1]}, "units": {"b": "m"}}, "unit for 'b'"),
        ({"data": {}}, "data|different"),
    ],
)
def test_fits_export_refusals(ask: Ask, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("data", "export_fits", **params)


@pytest.fixture
def events(tmp_path: Path) -> str:
    import awkward as ak

    path = tmp_path / "events.root"
    rng = np.random.default_rng(1)
    with uproot.recreate(path) as file:
        flat = {"energy": np.float32, "n": np.int64, "vector": np.dtype((np.float64, (3,))), "ok": np.bool_}
        tree = file.mktree("Events", {**flat, "pt": "var * float32", "sub/x": np.float64})
        tree.extend(
            {
                "energy": np.arange(20, dtype=np.float32),
                "n": np.arange(20),
                "vector": np.arange(60.0).reshape(20, 3),
                "ok": np.arange(20) % 2 == 0,
                "pt": ak.Array([[float(i)] * (i % 3) for i in range(20)]),
                "sub/x": np.ones(20),
            }
        )
        wide = file.mktree("wide", {f"b{i:02}": np.float64 for i in range(12)})
        wide.extend({f"b{i:02}": rng.normal(size=5) for i in range(12)})
        file["histogram"] = np.histogram(rng.normal(size=100))
    return str(path)


def test_a_tree_with_jagged_branches(ask: Ask, events: str) -> None:
    answer = ask("data", "import_root", file_path=events, tree_name="Events", max_entries=7)
    data = answer["data"]
    np.testing.assert_array_equal(data["energy"], np.arange(7, dtype="f4"))
    assert data["energy"].dtype == np.dtype("f4") and data["ok"].dtype == bool
    assert data["vector"].shape == (7, 3) and data["vector"][6].tolist() == [18, 19, 20]
    assert data["pt"]["counts"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert data["pt"]["values"].tolist() == [1, 2, 2, 4, 5, 5]
    assert (answer["entries_read"], answer["total_entries"]) == (7, 20)
    assert set(answer["branches"]) <= set(answer["all_branches"]) and "pt" in answer["branch_types"]
    told = " ".join(answer.context.warnings)
    assert "'pt' is jagged" in told and "7 of 20 entries" in told


def test_branches_are_chosen(ask: Ask, events: str) -> None:
    some = ask("data", "import_root", file=events, tree_name="Events;1", branches=["n", "energy"])
    assert list(some["data"]) == ["n", "energy"] and some["data"]["n"].tolist() == list(range(20))
    wide = ask("data", "import_root", file=events, tree_name="wide")
    assert wide["branches"] == [f"b{i:02}" for i in range(10)] and len(wide["all_branches"]) == 12
    assert "first 10 of 12" in wide.context.warnings[0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "has 2 trees.*Events"),
        ({"tree_name": "Event"}, "Did you mean 'Events'"),
        ({"tree_name": "histogram"}, "not a TTree"),
        ({"tree_name": "Events", "branches": ["enrgy"]}, "Did you mean 'energy'"),
        ({"tree_name": "Events", "max_entries": 0}, "max_entries"),
        ({"tree_name": "Events", "branches": []}, "branches"),
    ],
)
def test_root_refusals(ask: Ask, events: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask("data", "import_root", file_path=events, **params)


ACTIONS = {"import_hdf5": "h5", "import_fits": "sky", "import_root": "events"}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "content",
    [b"", b"x,y\n1,2\n", b"\x89HDF\r\n\x1a\n", b"SIMPLE  =                    T", b"root\0\0\xf3\x2c", b"\0" * 9000],
)
def test_what_is_no_such_file_is_said(ask: Ask, tmp_path: Path, action: str, content: bytes) -> None:
    path = tmp_path / "odd.dat"
    path.write_bytes(content)
    with pytest.raises(ValidationError, match=r"odd\.dat"):
        ask("data", action, file_path=str(path))
    with pytest.raises(ValidationError, match=r"'gone\.dat' does not exist"):
        ask("data", action, file_path=str(tmp_path / "gone.dat"))


@pytest.mark.filterwarnings("error::ResourceWarning")
@pytest.mark.parametrize("action", ACTIONS)
def test_damaged_files_give_one_clear_error(
    ask: Ask, action: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Cut off anywhere, or with bytes turned over: an answer, or a ValidationError that names the file."""
    whole = Path(request.getfixturevalue(ACTIONS[action])).read_bytes()
    extra = {"import_hdf5": {"dataset_path": "run/energy"}, "import_fits": {"hdu_index": 3}}.get(
        action, {"tree_name": "Events"}
    )
    rng = np.random.default_rng(5)
    path = tmp_path / "hurt.bin"
    for trial in range(40):
        hurt = bytearray(whole)
        if trial % 2:
            hurt = hurt[: int(rng.integers(1, len(hurt)))]
        else:
            for place in rng.integers(0, min(len(hurt), 6000), size=12):
                hurt[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(hurt))
        with contextlib.suppress(ValidationError):
            ask("data", action, file_path=str(path), **extra)


def test_a_fits_file_that_was_cut_is_not_read_silently(ask: Ask, sky: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.fits"
    path.write_bytes(Path(sky).read_bytes()[:-2000])
    with pytest.raises(ValidationError, match="cut off"):
        ask("data", "import_fits", file_path=str(path), hdu_index=1)
    archive = tmp_path / "sky.zip"
    archive.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(ValidationError, match="ZIP"):
        ask("data", "import_fits", file_path=str(archive))


def test_caps_hold_before_anything_is_read(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "large.fits"
    header = fits.PrimaryHDU(np.zeros((2, 2), dtype="u1")).header
    header["NAXIS1"], header["NAXIS2"] = 100_000, 100_000
    with path.open("wb") as stream:
        stream.write(header.tostring().encode())
        stream.truncate(len(header.tostring()) + 2880 * 3_472_223)  # a sparse file
    with pytest.raises(ValidationError, match=r"cap of 5e\+06.*allow_large"):
        ask("data", "import_fits", file_path=str(path))


@pytest.mark.parametrize(
    ("action", "source", "params"),
    [
        ("import_hdf5", "h5", {"dataset_path": "run/energy"}),
        ("import_hdf5", "h5", {"dataset_path": "names"}),
        ("import_hdf5", "h5", {"dataset_path": "empty"}),
        ("import_hdf5", "h5", {"dataset_path": "compound"}),
        ("import_fits", "sky", {"hdu_index": 3}),
        ("import_root", "events", {"tree_name": "Events"}),
    ],
)
def test_each_kind_is_drawn_and_listed(
    ask: Ask, action: str, source: str, params: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(source)
    answer = ask("data", action, {"static": True, "series": True}, file_path=path, **params)
    assert {item.role for item in answer.context.written} == {"static", "series", "thumbnail"}
    assert answer["png_b64"].path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("action", "module", "package", "params"),
    [
        ("import_hdf5", "h5py", "h5py", {"file": "x"}),
        ("export_hdf5", "h5py", "h5py", {"data": {"a": 1}}),
        ("import_fits", "astropy.io.fits", "astropy", {"file": "x"}),
        ("export_fits", "astropy.io.fits", "astropy", {"data": [1.0]}),
        ("import_root", "uproot", "uproot", {"file": "x"}),
    ],
)
def test_a_missing_library_is_named(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, action: str, module: str, package: str, params: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=package) as caught:
        ask("data", action, **params)
    assert "pip install 'physlab[data]'" in caught.value.hint


def test_an_rntuple_is_read_like_a_tree(ask, tmp_path):
    awkward = pytest.importorskip("awkward", reason="awkward comes with uproot")
    rng = np.random.default_rng(3)
    jets = awkward.Array([[1.0, 2.0], [], [3.0], [4.0, 5.0, 6.0], []])
    written = {
        "pt": rng.exponential(20, 5),
        "n": np.arange(5, dtype=np.int32),
        "jets": jets,
        "pairs": np.arange(10.0).reshape(5, 2),
        "name": awkward.Array(["a", "bb", "", "c", "d"]),
        "good": np.array([1, 0, 1, 0, 1], bool),
        "hit": awkward.Array([{"x": i, "y": i / 2} for i in range(5)]),
    }
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        file["events"] = written
    answer = ask("data", "import_root", file_path=str(path), tree_name="events", max_entries=4)
    data = answer["data"]
    assert data["pt"] == pytest.approx(written["pt"][:4]) and data["n"].tolist() == [0, 1, 2, 3]
    assert data["jets"]["values"].tolist() == [1, 2, 3, 4, 5, 6] and data["jets"]["counts"].tolist() == [2, 0, 1, 3]
    assert data["pairs"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]] and data["name"] == ["a", "bb", "", "c"]
    assert data["good"].tolist() == [True, False, True, False] and data["hit.y"].tolist() == [0, 0.5, 1, 1.5]
    assert (answer["entries_read"], answer["total_entries"]) == (4, 5)
    assert answer["branch_types"]["jets"] == "std::vector<double>"
    with pytest.raises(ValidationError, match="no branch 'mass'"):
        ask("data", "import_root", file_path=str(path), tree_name="events", branches=["mass"])
