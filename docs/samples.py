"""Writes the small data files beside the pages of tools, which their examples read: `python docs/samples.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import uproot
from astropy.io import fits
from PIL import Image

HERE = Path(__file__).parent / "reference" / "tools" / "samples"


def main() -> None:
    """Write all of them; the same bytes every time, but for the dates that ROOT files carry."""
    t = np.linspace(0, 4, 81)
    angle = 0.2 * np.exp(-0.1 * t) * np.cos(3.13 * t)
    rows = "".join(f"{time:.2f},{value:.6f}\n" for time, value in zip(t, angle, strict=True))
    (HERE / "pendulum.csv").write_text(f"t [s],angle [rad]\n{rows}", encoding="utf-8")
    with h5py.File(HERE / "pendulum.h5", "w", track_order=True) as file:
        file["angle"] = angle
        file["angle"].attrs["unit"] = "rad"
        file["t"] = t
    y, x = np.mgrid[-8:9, -8:9]
    star = fits.PrimaryHDU((1000 * np.exp(-(x**2 + y**2) / 8)).astype(np.float32))
    star.header["BUNIT"] = "adu"
    star.writeto(HERE / "star.fits", overwrite=True)
    rng = np.random.default_rng(1)
    with uproot.recreate(HERE / "muons.root") as file:
        tree = file.mktree("events", {"pt": np.float64, "eta": np.float64})
        tree.extend({"pt": rng.exponential(20.0, 200), "eta": rng.uniform(-2.4, 2.4, 200)})
    (HERE / "pendulum.py").write_text(PROGRAM, encoding="utf-8")
    Image.fromarray(particles()).save(HERE / "particles.png", optimize=True)


def particles() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return an 8-bit image of six bright discs in noise, two of which touch; shape (64, 80)."""
    y, x = np.mgrid[:64, :80]
    image = np.random.default_rng(2).normal(40, 4, x.shape)
    for at_x, at_y, radius in ((12, 14, 6), (36, 12, 8), (64, 18, 7), (18, 46, 9), (48, 44, 8), (63, 46, 8)):
        image[(x - at_x) ** 2 + (y - at_y) ** 2 <= radius**2] += 140
    counts: np.ndarray[Any, np.dtype[np.uint8]] = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return counts


PROGRAM = '''"""The exact period of a pendulum."""

from math import cos, pi, sqrt
from statistics import fmean


def period(length, amplitude, gravity=9.81):
    """Return the period [s]: an elliptic integral, by Gauss's arithmetic-geometric mean."""
    a, b = 1.0, cos(amplitude / 2)
    while abs(a - b) > 1e-15:
        a, b = fmean((a, b)), sqrt(a * b)
    return 2 * pi * sqrt(length / gravity) / a
'''

if __name__ == "__main__":
    main()
