"""Holding what was found against what is right: a confusion matrix, and how much of it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physlab.errors import ValidationError
from physlab.tools.pattern.classical import Found
from physlab.tools.pattern.outputs import overlap
from physlab.tools.types import Array

NOTHING = "nothing"
RIGHT_OVERLAP = 0.5  # boxes that overlap this much are the same (PASCAL VOC)


@dataclass(frozen=True)
class Score:
    """A confusion matrix.

    Attributes:
        names: Of rows (true) and columns (found).
        counts: Shape (names, names).
        accuracy: Share that is right; to detect: right ones over right, missed and invented ones together.
        distances: To detect places: how far each right one is from the true place [pixel].
    """

    names: list[str]
    counts: Array
    accuracy: float | None
    distances: list[float]


def score_labels(found: Sequence[str | None], truth: Sequence[Any], names: Sequence[str]) -> Score:
    """Compare one label an image; a label that was not confident enough is `nothing`.

    Raises:
        ValidationError: A true label is no class of the model.
    """
    known = list(names)
    right = [_name(item, known) for item in truth]
    listed = known + ([NOTHING] if None in found else [])
    counts = np.zeros((len(listed), len(listed)), dtype=np.int64)
    for true, item in zip(right, found, strict=True):
        counts[listed.index(true), listed.index(item or NOTHING)] += 1
    return Score(listed, counts, float(np.trace(counts) / counts.sum()), [])


def _name(item: Any, known: Sequence[str]) -> str:
    if isinstance(item, int) and not isinstance(item, bool) and 0 <= item < len(known):
        return known[item]
    if item in known:
        return str(item)
    raise ValidationError(f"The true label {item!r} is no class of the model.", hint=f"Classes: {', '.join(known)}.")


def score_pixels(classes: Sequence[Array], truth: Sequence[Any], names: Sequence[str]) -> Score:
    """Compare the class of each pixel.

    Raises:
        ValidationError: A true mask has another shape, or a number that is no class.
    """
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for number, (found, item) in enumerate(zip(classes, truth, strict=True)):
        right = np.asarray(item)
        if right.shape != found.shape or right.dtype.kind not in "biu":
            raise ValidationError(
                f"The truth of image {number + 1} has the shape {right.shape} and the image {found.shape}.",
                hint="Give rows of whole class numbers, 0 for the ground.",
            )
        right = right.astype(np.int64)
        if right.size and not 0 <= right.min() <= right.max() < len(names):
            raise ValidationError(
                f"The truth of image {number + 1} has classes up to {right.max()}.", hint=f"0 to {len(names) - 1}."
            )
        np.add.at(counts, (right.ravel(), found.ravel()), 1)
    return Score(list(names), counts, float(np.trace(counts) / counts.sum()), [])


def score_places(found: Sequence[Sequence[Found]], truth: Sequence[Any], match_px: float) -> Score:
    """Compare places or boxes; each true one is matched with the nearest (most overlapping) free one.

    Raises:
        ValidationError: The truth is no list of points or boxes.
    """
    right = missed = invented = 0
    distances: list[float] = []
    for number, (items, given) in enumerate(zip(found, truth, strict=True)):
        true = np.asarray(given, dtype=float).reshape(len(given), -1) if len(given) else np.empty((0, 2))
        if true.shape[1] not in (2, 4):
            raise ValidationError(
                f"The truth of image {number + 1} has {true.shape[1]} numbers an object.",
                hint="Give [[x, y], …] or [[x1, y1, x2, y2], …].",
            )
        pairs = _match(items, true, match_px)
        right += len(pairs)
        missed += len(true) - len(pairs)
        invented += len(items) - len(pairs)
        distances += [away for away in pairs if true.shape[1] == 2]
    counts = np.array([[right, missed], [invented, 0]], dtype=np.int64)
    whole = right + missed + invented
    return Score(["object", NOTHING], counts, right / whole if whole else None, distances)


def _match(items: Sequence[Found], true: Array, match_px: float) -> list[float]:
    """Return the cost of each matched pair: distances of points, 1 - overlap of boxes."""
    from scipy.optimize import linear_sum_assignment

    if not len(items) or not len(true):
        return []
    if true.shape[1] == 2:
        places = np.array([(item.x, item.y) for item in items])
        cost, most = np.hypot(*(true[:, None, :] - places[None, :, :]).transpose(2, 0, 1)), match_px
    else:
        boxes = np.array([item.box for item in items]) + 0.5  # borders of pixels, as boxes are given
        cost, most = 1 - np.stack([overlap(box, boxes) for box in true]), 1 - RIGHT_OVERLAP
    chosen = linear_sum_assignment(np.where(cost <= most, cost, 1e6))
    return [float(cost[row, column]) for row, column in zip(*chosen, strict=True) if cost[row, column] <= most]
