"""What the `data` tool does with scientific files: HDF5, FITS and ROOT."""

from __future__ import annotations

from typing import Any

from physlab.model import Visuals
from physlab.tools.data import fitsfile, fitswrite, hdf5, rootfile
from physlab.tools.data.file_params import (
    ExportFitsParams,
    ExportHdf5Params,
    ImportFitsParams,
    ImportHdf5Params,
    ImportRootParams,
    expand,
)
from physlab.tools.figures import IMPORTS, SERIES_PORTS, STATIC_PORTS
from physlab.tools.registry import Port, registry

READS: dict[str, Any] = {
    "visuals": Visuals(static=True, series=False, animation=False),
    "can": Visuals(static=True, series=True, animation=False),
    "imports": IMPORTS,
    "expand": expand,
    "kind": "data",
    "time_limit_s": 30.0,
}
PICTURES: tuple[Port, ...] = (*STATIC_PORTS, *SERIES_PORTS)

registry.method(
    "data",
    "import_hdf5",
    params=ImportHdf5Params,
    returns=(*hdf5.IMPORT_PORTS, *PICTURES),
    libraries=("numpy", "matplotlib", "h5py"),
    **READS,
)(hdf5.import_hdf5)
registry.method(
    "data",
    "import_fits",
    params=ImportFitsParams,
    returns=(*fitsfile.IMPORT_PORTS, *PICTURES),
    libraries=("numpy", "matplotlib", "astropy"),
    **READS,
)(fitsfile.import_fits)
registry.method(
    "data",
    "import_root",
    params=ImportRootParams,
    returns=(*rootfile.IMPORT_PORTS, *PICTURES),
    libraries=("numpy", "matplotlib", "uproot", "awkward"),
    **READS,
)(rootfile.import_root)
registry.method(
    "data",
    "export_hdf5",
    params=ExportHdf5Params,
    returns=hdf5.EXPORT_PORTS,
    libraries=("numpy", "h5py"),
    expand=expand,
    kind="data",
)(hdf5.export_hdf5)
registry.method(
    "data",
    "export_fits",
    params=ExportFitsParams,
    returns=fitswrite.EXPORT_PORTS,
    libraries=("numpy", "astropy"),
    expand=expand,
    kind="data",
)(fitswrite.export_fits)

for name in ("import_hdf5", "import_fits", "import_root", "export_hdf5", "export_fits"):
    registry.alias(f"data_{name}", "data", name)
