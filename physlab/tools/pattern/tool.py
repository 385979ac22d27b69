"""`ml_ai_augmentation.pattern_recognition_infer`: objects, regions and classes in images."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physlab.model import Visuals
from physlab.tools.context import Context
from physlab.tools.figures import IMPORTS, save_series
from physlab.tools.pattern.classical import Found, find_blobs, find_regions
from physlab.tools.pattern.images import Image, load
from physlab.tools.pattern.models import Network, load_network
from physlab.tools.pattern.outputs import classify, detect, segment
from physlab.tools.pattern.params import PatternParams, expand
from physlab.tools.pattern.pictures import MOST_DRAWN, annotate, draw_confusion
from physlab.tools.pattern.scores import Score, score_labels, score_pixels, score_places
from physlab.tools.registry import Port, registry
from physlab.tools.types import Array

registry.tool(
    "ml_ai_augmentation",
    summary="Formulas from data, surrogates of equations, patterns in images, derivations step by step.",
    discriminator="method",
    aliases={"ml_pattern_recognition": "pattern_recognition_infer"},
)


@dataclass
class Answer:
    """What was found in one image.

    Attributes:
        image: The image.
        found: Objects, regions, or the one class.
        regions: Region numbers (rows, columns), to segment.
        classes: Class of each pixel, to segment.
        probabilities: Of each class, to classify.
        names: The classes.
    """

    image: Image
    found: list[Found]
    regions: Array | None = None
    classes: Array | None = None
    probabilities: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


@registry.method(
    "ml_ai_augmentation",
    "pattern_recognition_infer",
    params=PatternParams,
    returns=(
        Port("annotated_images", "list", description="Each image as PNG with what was found in it"),
        Port("svg", "image", description="The first annotated image as SVG"),
        Port("thumbnails", "list", description="Small PNGs"),
        Port("confusion_matrix_png_b64", "image", description="True against found; only where truth is given"),
        Port("metrics_json_path", "file", description="All figures as JSON"),
        Port("csv_path", "file", description="What was found: one row an object, region or image"),
        Port("detections", "list", description="The same: {image, label, confidence, x, y, width, height, …} [pixel]"),
        Port("masks", "list", description="To segment: region numbers of each image, 0 for the ground"),
        Port("probabilities", "list", description="To classify: of each class, for each image"),
        Port("classes", "list", description="Names of the classes"),
        Port("num_detections", "number", description="How many objects, regions or classes were found"),
        Port("mean_confidence", "number", description="Of what was found; null when nothing was"),
        Port("accuracy", "number", description="Share that is right; null without truth"),
        Port("confusion_matrix", "list", description="Counts, rows true, columns found; null without truth"),
    ),
    visuals=Visuals(static=True, series=True, animation=False),
    can=Visuals(static=True, series=True, animation=False),
    time_limit_s=300.0,
    devices=("cuda", "hip", "cpu"),
    libraries=("numpy", "scipy", "scikit-image", "onnxruntime", "torch", "pillow", "astropy", "matplotlib"),
    imports=IMPORTS,
    expand=expand,
    kind="compute",
)
def pattern_recognition_infer(params: PatternParams, context: Context) -> dict[str, Any]:
    """Find objects, regions or classes in images, with a model of your own or by classical methods.

    Places are in pixels: x along columns, y along rows, the middle of the first pixel is (0, 0).

    Args:
        params: The images, the task and the model.
        context: The surroundings of the call.

    Returns:
        What was found, as a list and as CSV, the images with marks on them, and, with truth, how much of it is right.

    Raises:
        ValidationError: An image or the model cannot be read, the model takes no image, there are more labels than
            classes, or the truth does not fit.
        ComputationError: The model's output is not what the task needs.
        MissingExtraError: scikit-image, ONNX Runtime, PyTorch or astropy is needed and not installed.
    """
    images = [load(item, number, context) for number, item in enumerate(params.images)]
    network = None if isinstance(params.model, str) else load_network(params.model, params.input_shape, context)
    answers = [_answer(image, params, network, context) for image in images]
    score = _score(answers, params)
    rows = [_row(answer.image, number, item) for answer in answers for number, item in enumerate(answer.found)]
    context.enforce("samples", len(rows), "what was found")
    confidences = [row["confidence"] for row in rows]
    summary: dict[str, Any] = {
        "num_detections": len(rows),
        "mean_confidence": float(np.mean(confidences)) if rows else None,
        "accuracy": None if score is None else score.accuracy,
    }
    context.meta.update(summary, dtype="float64", samples=sum(image.pixels.size for image in images))
    fields: dict[str, Any] = {
        **summary,
        "detections": rows,
        "masks": [answer.regions for answer in answers if answer.regions is not None],
        "probabilities": [answer.probabilities for answer in answers if answer.probabilities],
        "classes": next((answer.names for answer in answers if answer.names), params.labels),
        "confusion_matrix": None if score is None else score.counts.tolist(),
        "metrics_json_path": _metrics(params, answers, summary, score, context),
    }
    if context.wants("series"):
        caption = f"What was found in {len(images)} image{'' if len(images) == 1 else 's'}."
        fields |= save_series(context, _columns(rows), "detections", caption)
    if context.wants("static"):
        fields |= _pictures(answers, score, params, context)
    return fields


def _answer(image: Image, params: PatternParams, network: Network | None, context: Context) -> Answer:
    if network is None and params.task == "detect":
        found = [item for item in find_blobs(image, params, context) if item.confidence >= params.threshold]
        return Answer(image, found, names=["blob"])
    if network is None:
        regions, numbers = find_regions(image, params, context)
        return Answer(image, regions, numbers, (numbers > 0).astype(np.int64), names=["ground", "region"])
    if params.task == "classify":
        best, chances, names = classify(image, network, params)
        return Answer(image, [best] if best.confidence >= params.threshold else [], probabilities=chances, names=names)
    if params.task == "segment":
        regions, numbers, classes, names = segment(image, network, params, context)
        return Answer(image, regions, numbers, classes, names=names)
    found, names = detect(image, network, params)
    return Answer(image, found, names=names)


def _score(answers: list[Answer], params: PatternParams) -> Score | None:
    if params.truth is None:
        return None
    names = answers[0].names
    if params.task == "classify":
        return score_labels(
            [answer.found[0].label if answer.found else None for answer in answers], params.truth, names
        )
    if params.task == "segment":
        return score_pixels([answer.classes for answer in answers if answer.classes is not None], params.truth, names)
    return score_places([answer.found for answer in answers], params.truth, params.match_px)


def _row(image: Image, number: int, item: Found) -> dict[str, Any]:
    return {
        "image": image.name, "id": number + 1, "label": item.label, "confidence": item.confidence, "x": item.x,
        "y": item.y, "width": item.width, "height": item.height, **item.more,
    }  # fmt: skip


UNITS = {"x": "pixel", "y": "pixel", "width": "pixel", "height": "pixel"}


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(rows[0]) if rows else ["image", "id", "label", "confidence", *UNITS]
    return {f"{name} [{UNITS[name]}]" if name in UNITS else name: np.array([row[name] for row in rows])
            for name in names}  # fmt: skip


def _metrics(
    params: PatternParams, answers: list[Answer], summary: dict[str, Any], score: Score | None, context: Context
) -> Any:
    document: dict[str, Any] = {
        "task": params.task,
        "model": params.model if isinstance(params.model, str) else params.model.name,
        "threshold": params.threshold,
        **summary,
        "by_label": dict(Counter(item.label for answer in answers for item in answer.found)),
        "images": [{"name": answer.image.name, "size": list(answer.image.size), "found": len(answer.found)}
                   for answer in answers],
    }  # fmt: skip
    if score is not None:
        document["confusion_matrix"] = {"names": score.names, "rows_true_columns_found": score.counts.tolist()}
        if params.task == "detect":
            (right, missed), (invented, _) = score.counts.tolist()
            document |= {"right": right, "missed": missed, "invented": invented}
            document["precision"] = right / (right + invented) if right + invented else None
            document["recall"] = right / (right + missed) if right + missed else None
        if score.distances:
            document["rms_distance_px"] = float(np.sqrt(np.mean(np.square(score.distances))))
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return context.save(
        text, "metrics.json", role="data", field="metrics_json_path", caption="Figures of what was found."
    )


def _pictures(answers: list[Answer], score: Score | None, params: PatternParams, context: Context) -> dict[str, Any]:
    if len(answers) > MOST_DRAWN:
        context.warn(f"The first {MOST_DRAWN} of {len(answers)} images are drawn.")
    pictures, thumbnails, drawings = [], [], []
    for number, answer in enumerate(answers[:MOST_DRAWN]):
        picture, small, svg = annotate(context, answer.image, number, answer.found, answer.regions, params.task)
        pictures.append(picture)
        thumbnails += small
        drawings.append(svg)
    fields: dict[str, Any] = {"annotated_images": pictures, "svg": drawings[0], "thumbnails": thumbnails}
    if score is not None:
        drawn = draw_confusion(context, score)
        fields["confusion_matrix_png_b64"] = drawn["confusion_matrix_png_b64"]
        thumbnails += drawn["thumbnails"]
    return fields


registry.alias("ml_pattern_recognition", "ml_ai_augmentation", "pattern_recognition_infer")
registry.alias("pattern_recognition_infer", "ml_ai_augmentation", "pattern_recognition_infer")
