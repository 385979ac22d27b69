"""Finding without a trained model: blobs in scale space, and regions by Otsu's threshold and watershed.

Blobs are maxima of the scale-normalised Laplacian of Gaussian (T. Lindeberg 1998, Int. J. Comput. Vis. 30, 79) or of
differences of Gaussians, in units of the noise of the response, and are placed by fitting a Gaussian to the pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physlab.tools.context import Context
from physlab.tools.extras import require
from physlab.tools.pattern.images import Image
from physlab.tools.types import Array

SCALES = 9
DOG_RATIO = 1.6  # D. Marr and E. Hildreth 1980: differences of Gaussians are nearest to the Laplacian
MAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
ONE_CLASS = 0.75  # Otsu's separability: 2/pi for normal noise, 3/4 for an even spread, above for two classes
PURPOSE = "pattern_recognition_infer"


@dataclass(frozen=True)
class Found:
    """One object in an image.

    Attributes:
        label: Its class.
        confidence: 0 to 1.
        x: Centre, columns from the middle of the first pixel [pixel].
        y: Centre, rows from the middle of the first pixel [pixel].
        width: Of its box [pixel].
        height: Of its box [pixel].
        more: Further measures, by name.
    """

    label: str
    confidence: float
    x: float
    y: float
    width: float
    height: float
    more: dict[str, float] = field(default_factory=dict)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, upper, right and lower border [pixel]."""
        return self.x - self.width / 2, self.y - self.height / 2, self.x + self.width / 2, self.y + self.height / 2


def find_blobs(image: Image, params: Any, context: Context) -> list[Found]:
    """Return the blobs of an image, the most significant first.

    The confidence is the probability that no peak of pure normal noise in the whole image would be as high.
    """
    feature = require("skimage.feature", PURPOSE)
    grey = image.grey if params.polarity == "bright" else -image.grey
    if np.ptp(grey) == 0:
        context.warn(f"{image.name} is uniform; nothing can be found.")
        return []
    sigmas = np.geomspace(params.min_sigma, params.max_sigma, SCALES if params.max_sigma > params.min_sigma else 1)
    steps = 1.0 if image.full is not None else 0.0
    responses = [_response(grey, sigma, params.model) for sigma in sigmas]
    noise = [_noise(part, sigma, steps, float(np.ptp(grey))) for part, sigma in zip(responses, sigmas, strict=True)]
    cube = np.stack(responses, axis=-1)
    peaks = feature.peak_local_max(
        cube, min_distance=1, threshold_abs=max(params.min_snr, 1e-9) * min(noise), exclude_border=False
    )
    rows = [(float(cube[y, x, scale]), int(y), int(x), int(scale)) for y, x, scale in peaks]
    rows = [row for row in rows if row[0] >= params.min_snr * noise[row[3]]]
    context.enforce("samples", len(rows), f"the blobs of {image.name}")
    kept = _apart(sorted(rows, reverse=True), sigmas)
    found = [_blob(grey, row, sigmas, noise, params) for row in kept]
    return sorted(_once(found), key=lambda item: -item.more["snr"])


def _response(grey: Array, sigma: float, model: str) -> Array:
    """Return the scale-normalised response, positive at bright blobs."""
    from scipy import ndimage

    if model == "dog":
        wide = ndimage.gaussian_filter(grey, sigma * DOG_RATIO, mode="reflect")
        return np.asarray((ndimage.gaussian_filter(grey, sigma, mode="reflect") - wide) / (DOG_RATIO - 1))
    return np.asarray(-(sigma**2) * ndimage.gaussian_laplace(grey, sigma, mode="reflect"))


def _noise(response: Array, sigma: float, step: float, span: float) -> float:
    """Return the standard deviation of a response: robust, and not below that of rounded pixel values.

    White noise of unit variance gives a scale-normalised Laplacian the variance 1/(2 pi sigma^2).
    """
    spread = MAD * float(np.median(np.abs(response - np.median(response))))
    rounding = step / math.sqrt(12) / (math.sqrt(2 * math.pi) * sigma)
    return max(spread, rounding, 1e-6 * span)


def _apart(rows: list[tuple[float, int, int, int]], sigmas: Array) -> Iterator[tuple[float, int, int, int]]:
    """Yield peaks from the highest on, without those whose centre lies inside the circle of a kept one."""
    kept = np.empty((0, 3))
    for row in rows:
        reach = math.sqrt(2) * max(float(sigmas[row[3]]), 1.0)
        if len(kept):
            away = np.hypot(kept[:, 0] - row[1], kept[:, 1] - row[2])
            if (away < np.maximum(kept[:, 2], reach)).any():
                continue
        kept = np.vstack([kept, (row[1], row[2], reach)])
        yield row


def _blob(grey: Array, row: tuple[float, int, int, int], sigmas: Array, noise: list[float], params: Any) -> Found:
    response, y, x, scale = row
    sigma, snr = float(sigmas[scale]), response / noise[scale]
    fit = _fit(grey, y, x, sigma)
    cells = grey.size / (2 * math.pi * sigma**2)  # independent places for a peak of noise
    chance = 0.5 * math.erfc(snr / math.sqrt(2))
    confidence = math.exp(cells * math.log1p(-chance)) if chance < 1 else 0.0
    width = 2 * math.sqrt(2) * fit["sigma_px"]
    more = {"snr": snr, "sigma_px": fit["sigma_px"], "fwhm_px": fit["sigma_px"] * math.sqrt(8 * math.log(2)),
            "flux": fit["flux"], "background": fit["background"]}  # fmt: skip
    if params.polarity == "dark":
        more["flux"], more["background"] = -more["flux"], -more["background"]
    label = params.labels[0] if params.labels else "blob"
    return Found(label, confidence, fit["x"], fit["y"], width, width, more)


def _fit(grey: Array, y: int, x: int, sigma: float) -> dict[str, float]:
    """Return a round Gaussian on a flat ground, fitted to the pixels around a peak by least squares."""
    from scipy.optimize import least_squares

    reach = max(3, math.ceil(3 * sigma))
    top, left = max(0, y - reach), max(0, x - reach)
    part = grey[top : y + reach + 1, left : x + reach + 1]
    rows, columns = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    ground = float(np.median(part))
    height = max(float(grey[y, x]) - ground, 1e-12 * (1 + abs(ground)))

    scaled = (part - ground) / height

    def residual(p: Array) -> Array:
        spot = p[0] * np.exp(-((columns - p[1]) ** 2 + (rows - p[2]) ** 2) / (2 * p[3] ** 2))
        return np.asarray(spot + p[4] - scaled).ravel()

    start = np.array([1.0, x, y, sigma, 0.0])
    limits = ([0, x - 2 * sigma - 1, y - 2 * sigma - 1, 0.3, -np.inf],
              [np.inf, x + 2 * sigma + 1, y + 2 * sigma + 1, 4 * sigma + 1, np.inf])  # fmt: skip
    found = least_squares(residual, start, bounds=limits, max_nfev=100)
    amplitude, fx, fy, width, base = (float(value) for value in found.x)
    return {"x": fx, "y": fy, "sigma_px": width, "flux": 2 * math.pi * amplitude * height * width**2,
            "background": ground + base * height}  # fmt: skip


def _once(found: list[Found]) -> Iterator[Found]:
    """Yield blobs without those whose fits ended on one place."""
    kept: list[Found] = []
    for item in sorted(found, key=lambda one: -one.more["snr"]):
        if all(math.hypot(item.x - one.x, item.y - one.y) > max(1.0, one.more["sigma_px"]) for one in kept):
            kept.append(item)
            yield item


def find_regions(image: Image, params: Any, context: Context) -> tuple[list[Found], Array]:
    """Return the regions of an image and their numbers, (rows, columns), 0 for the ground.

    Otsu's threshold (N. Otsu 1979) separates two classes of brightness; touching regions are cut by a watershed of the
    distance to the ground. The confidence is the mean probability of a region's pixels to be of the bright class, both
    classes being normal.
    """
    filters, measure = require("skimage.filters", PURPOSE), require("skimage.measure", PURPOSE)
    feature, cut = require("skimage.feature", PURPOSE), require("skimage.segmentation", PURPOSE)
    from scipy import ndimage

    grey = image.grey if params.polarity == "bright" else -image.grey
    if np.ptp(grey) == 0:
        context.warn(f"{image.name} is uniform; it has one region, the ground.")
        return [], np.zeros(grey.shape, dtype=np.int64)
    level = float(filters.threshold_otsu(grey))
    inside = grey > level
    separability = _separability(grey, inside)
    if separability < ONE_CLASS:
        context.warn(
            f"{image.name}: its brightness has no two clear classes (Otsu's separability {separability:.2f}, "
            f"{2 / math.pi:.2f} for mere noise); its regions may mean nothing."
        )
    distance = ndimage.distance_transform_edt(inside)
    peaks = feature.peak_local_max(
        ndimage.gaussian_filter(distance, 1.0), min_distance=params.min_distance, labels=measure.label(inside),
        exclude_border=False,
    )  # fmt: skip
    seeds = np.zeros(grey.shape, dtype=np.int64)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    numbered = cut.watershed(-distance, seeds, mask=inside)
    return describe(
        numbered, grey, _membership(grey, inside), params, image, sign=1 if params.polarity == "bright" else -1
    )


def describe(
    numbered: Array, grey: Array, membership: Array, params: Any, image: Image, *, sign: int = 1
) -> tuple[list[Found], Array]:
    """Return measures of numbered regions, without those that are too small or too doubtful.

    Args:
        numbered: Region numbers (rows, columns), 0 for the ground.
        grey: Brightness.
        membership: Probability of each pixel to belong to its region.
        params: Give min_area, threshold and the label.
        image: For its name.
        sign: -1 when the brightness was turned over.
    """
    measure = require("skimage.measure", PURPOSE)
    found: list[Found] = []
    kept = np.zeros(numbered.shape, dtype=np.int64)
    for region in measure.regionprops(numbered, intensity_image=np.stack([grey * sign, membership], axis=-1)):
        brightness, confidence = (float(value) for value in region.intensity_mean)
        if region.area < params.min_area or confidence < params.threshold:
            continue
        top, left, bottom, right = region.bbox
        kept[numbered == region.label] = len(found) + 1
        y, x = region.centroid
        more = {
            "area_px": float(region.area), "centroid_x": float(x), "centroid_y": float(y),
            "diameter_px": float(region.equivalent_diameter_area), "mean": brightness,
            "eccentricity": float(region.eccentricity), "orientation_rad": float(region.orientation),
            "perimeter_px": float(region.perimeter),
        }  # fmt: skip
        label = params.labels[0] if params.labels else "region"
        found.append(
            Found(label, confidence, (left + right - 1) / 2, (top + bottom - 1) / 2, right - left, bottom - top, more)
        )
    return found, kept


def _separability(grey: Array, inside: Array) -> float:
    """Return the variance between the classes over the whole variance."""
    share = float(inside.mean())
    between = share * (1 - share) * (float(grey[inside].mean()) - float(grey[~inside].mean())) ** 2
    return between / float(grey.var())


def _membership(grey: Array, inside: Array) -> Array:
    """Return each pixel's probability to be of the bright class, from two normal distributions of one width."""
    share = float(inside.mean())
    low, high = float(grey[~inside].mean()), float(grey[inside].mean())
    pooled = (1 - share) * float(grey[~inside].var()) + share * float(grey[inside].var())
    variance = max(pooled, (1e-3 * (high - low)) ** 2)
    logit = math.log(share / (1 - share)) + (high - low) * (grey - (high + low) / 2) / variance
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -700, 700))))
