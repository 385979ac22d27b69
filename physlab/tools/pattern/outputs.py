"""From a model's outputs to labels, regions and boxes in the image's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from physlab.errors import ComputationError
from physlab.tools.context import Context
from physlab.tools.extras import require
from physlab.tools.pattern.classical import PURPOSE, Found, describe
from physlab.tools.pattern.images import Image
from physlab.tools.pattern.models import Network, class_names, make_input, probabilities
from physlab.tools.types import Array


def classify(image: Image, network: Network, params: Any) -> tuple[Found, list[float], list[str]]:
    """Return the class of an image, the probabilities of all, and the names of all.

    Raises:
        ComputationError: The output is no list of scores.
        ValidationError: There are more labels than classes.
    """
    output = network.run(make_input(image, network, params))[0][1]
    scores = output.reshape(-1) if output.ndim and output.shape[0] == 1 else output
    if scores.ndim != 1 or not scores.size:
        raise ComputationError(
            f"'{network.name}' gives an array of the shape {output.shape}; to classify, (1, classes) is needed.",
            hint="Use task: segment or detect for such a model.",
        )
    found = probabilities(scores, 0)
    if len(found) == 1:
        found = np.array([1 - found[0], found[0]])
    names = class_names(len(found), params.labels, network)
    best = int(np.argmax(found))
    rows, columns = image.size
    label = Found(names[best], float(found[best]), (columns - 1) / 2, (rows - 1) / 2, columns, rows)
    return label, [float(value) for value in found], names


def segment(
    image: Image, network: Network, params: Any, context: Context
) -> tuple[list[Found], Array, Array, list[str]]:
    """Return regions, their numbers, the class of each pixel, and the names of the classes (0 is the ground).

    Raises:
        ComputationError: The output is no mask.
        ValidationError: There are more labels than classes.
    """
    output = network.run(make_input(image, network, params))[0][1]
    if network.channels_last and output.ndim == 4:
        output = output.transpose(0, 3, 1, 2)
    if output.ndim == 3:
        output = output[:, None]
    if output.ndim != 4 or output.shape[0] != 1:
        raise ComputationError(
            f"'{network.name}' gives an array of the shape {output.shape}; to segment, (1, classes, rows, columns) "
            "is needed.",
            hint="Use task: classify or detect for such a model.",
        )
    found = probabilities(output[0], 0)
    if len(found) == 1:
        found = np.concatenate([1 - found, found])
    if found.shape[1:] != image.size:
        resize = require("skimage.transform", PURPOSE).resize
        found = resize(found, (len(found), *image.size), order=1, anti_aliasing=False, preserve_range=True)
    given = ["ground", *params.labels] if len(params.labels) == len(found) - 1 else params.labels
    names = class_names(len(found), given, network)
    classes = found.argmax(axis=0)
    best = found.max(axis=0)
    classes[best < params.threshold] = 0
    label = require("skimage.measure", PURPOSE).label
    regions: list[Found] = []
    numbers = np.zeros(image.size, dtype=np.int64)
    for number in range(1, len(found)):
        parts, kept = describe(label(classes == number), image.grey, found[number], params, image)
        numbers[kept > 0] = kept[kept > 0] + len(regions)
        regions += [Found(names[number], part.confidence, part.x, part.y, part.width, part.height, part.more)
                    for part in parts]  # fmt: skip
    return regions, numbers, classes, names


def detect(image: Image, network: Network, params: Any) -> tuple[list[Found], list[str]]:
    """Return the boxes that a model finds, overlapping ones of a class joined, and the names of the classes.

    Raises:
        ComputationError: The outputs are no boxes and scores in the stated layout.
        ValidationError: There are more labels than classes.
    """
    given = make_input(image, network, params)
    outputs = network.run(given)
    boxes, scores, classes, count = _boxes(outputs, network, params)
    names = class_names(count or max(1, len(params.labels)), params.labels, network)
    if not (np.isfinite(boxes).all() and ((scores >= 0) & (scores <= 1)).all()):
        raise ComputationError(
            f"The scores of '{network.name}' are not all between 0 and 1, or its boxes are not finite.",
            hint="Check box_layout: score_class or class_scores.",
        )
    rows, columns = given.shape[1:3] if network.channels_last else given.shape[2:4]
    corners = _corners(boxes, params.box_format)
    if params.box_units == "fraction":
        corners = corners * np.array([columns, rows, columns, rows])
    corners = corners * np.tile([image.size[1] / columns, image.size[0] / rows], 2)
    chosen = np.flatnonzero(scores >= params.threshold)
    kept = _suppress(corners[chosen], scores[chosen], classes[chosen], params.iou)
    found = []
    for index in chosen[kept]:
        left, top, right, bottom = map(float, corners[index])
        number = int(classes[index])
        name = names[number] if 0 <= number < len(names) else f"class {number}"
        # A box from 0 to 4 covers the pixels 0 to 3, whose middles are 0 to 3.
        centre = ((left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5)
        found.append(Found(name, float(scores[index]), *centre, right - left, bottom - top))
    return sorted(found, key=lambda item: -item.confidence), names


def _boxes(outputs: Sequence[tuple[str, Array]], network: Network, params: Any) -> tuple[Array, Array, Array, int]:
    """Return boxes (n, 4), scores (n), classes (n), and how many classes there are (0 when it is not told)."""
    lookup = {name.lower(): np.asarray(part, dtype=float) for name, part in outputs}
    if any(part.ndim == 3 and part.shape[0] == 1 for part in lookup.values()):  # one image, and its axis is kept
        lookup = {name: part[0] for name, part in lookup.items()}
    parts = list(lookup.values())
    if len(parts) >= 2:
        boxes = lookup.get("boxes", next((part for part in parts if part.ndim == 2 and part.shape[1] == 4), None))
        rest = [part for part in parts if part is not boxes]
        scores = lookup.get("scores", rest[0] if rest else None)
        labels = lookup.get("labels", lookup.get("classes"))
        if boxes is None or scores is None or boxes.ndim != 2 or len(scores) != len(boxes):
            raise _no_boxes(outputs, network)
        if scores.ndim == 2:
            return boxes, scores.max(axis=1), scores.argmax(axis=1), scores.shape[1]
        return boxes, scores, np.zeros(len(scores)) if labels is None else labels, 0 if labels is not None else 1
    table = parts[0]
    if params.box_layout == "class_scores" and table.ndim == 2:
        table = table.T if table.shape[0] < table.shape[1] and table.shape[0] > 4 else table
        if table.shape[1] > 4:
            scores = table[:, 4:]
            return table[:, :4], scores.max(axis=1), scores.argmax(axis=1), scores.shape[1]
    elif table.ndim == 2 and table.shape[1] in (5, 6):
        single = table.shape[1] == 5
        return table[:, :4], table[:, 4], np.zeros(len(table)) if single else table[:, 5], 1 if single else 0
    raise _no_boxes(outputs, network)


def _no_boxes(outputs: Sequence[tuple[str, Array]], network: Network) -> ComputationError:
    told = ", ".join(f"{name} {part.shape}" for name, part in outputs)
    return ComputationError(
        f"'{network.name}' gives {told}, which are no boxes and scores.",
        hint="Accepted: boxes (n, 4) with scores (n) and labels (n); one array (n, 5 or 6) of box, score, class; with "
        "box_layout: class_scores one array (n, 4 + classes) or its transpose.",
    )


def _corners(boxes: Array, layout: str) -> Array:
    if layout == "xyxy":
        return boxes
    start = boxes[:, :2] if layout == "xywh" else boxes[:, :2] - boxes[:, 2:] / 2
    return np.concatenate([start, start + boxes[:, 2:]], axis=1)


def overlap(one: Array, others: Array) -> Array:
    """Return the intersection over the union of a box with others, given as corners."""
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    sizes = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(one[2:] - one[:2])
    return np.asarray(common / np.maximum(sizes - common, 1e-300))


def _suppress(corners: Array, scores: Array, classes: Array, most: float) -> list[int]:
    """Return which boxes stay: from the best on, those that overlap no kept one of their class by more than `most`."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        same = [number for number in kept if classes[number] == classes[index]]
        if not same or overlap(corners[index], corners[same]).max() <= most:
            kept.append(int(index))
    return kept
