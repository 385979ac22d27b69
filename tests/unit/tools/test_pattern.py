"""Patterns in images: known stars, known particles, and models whose answer is computed by hand."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from physlab.errors import ComputationError, ValidationError

pytest.importorskip("skimage")
Ask = Callable[..., Any]
ML, INFER = "ml_ai_augmentation", "pattern_recognition_infer"
PSF, NOISE = 1.5, 5.0  # [pixel], [counts]


def star_field(count: int = 25, seed: int = 1) -> tuple[Any, Any, Any]:
    """Return an image (128, 128), the places (count, 2) and the fluxes of its stars: Gaussians in normal noise."""
    rng = np.random.default_rng(seed)
    places: list[Any] = []
    while len(places) < count:
        place = rng.uniform(8, 120, 2)
        if all(np.hypot(*(place - other)) > 12 for other in places):
            places.append(place)
    flux = rng.uniform(600, 6000, count)
    y, x = np.mgrid[:128, :128]
    image = rng.normal(100, NOISE, (128, 128))
    for (px, py), total in zip(places, flux, strict=True):
        image += total / (2 * np.pi * PSF**2) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * PSF**2))
    return image, np.array(places), flux


@pytest.mark.parametrize("model", ["classical", "log", "dog"])
def test_every_star_is_found_and_none_invented(ask: Ask, model: str) -> None:
    """Places scatter by the bound of Cramér and Rao, sqrt(8 pi) s^2 noise / flux (I. R. King 1983, PASP 95, 163)."""
    image, places, flux = star_field()
    answer = ask(ML, INFER, task="detect", images=image, model=model, truth=[places.tolist()])
    assert (answer["num_detections"], answer["accuracy"]) == (25, 1.0)
    assert answer["confusion_matrix"] == [[25, 0], [0, 0]]
    found = np.array([(row["x"], row["y"]) for row in answer["detections"]])
    nearest = np.hypot(*(places[:, None] - found[None]).transpose(2, 0, 1)).argmin(axis=1)
    pulls = (found[nearest] - places) / (np.sqrt(8 * np.pi) * PSF**2 * NOISE / flux)[:, None]
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1, abs=0.3)  # 50 values: 1 ± 0.1 expected
    rows = [answer["detections"][index] for index in nearest]
    np.testing.assert_allclose([row["flux"] for row in rows], flux, rtol=0.15)
    np.testing.assert_allclose([row["sigma_px"] for row in rows], PSF, rtol=0.12)


def test_noise_alone_holds_nothing(ask: Ask) -> None:
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(0, 1, (96, 96))
        assert ask(ML, INFER, task="detect", images=noise)["num_detections"] == 0
    assert "two clear classes" in ask(ML, INFER, task="segment", images=noise).context.warnings[0]


def test_a_uniform_image_holds_nothing(ask: Ask) -> None:
    for task in ("detect", "segment"):
        answer = ask(ML, INFER, task=task, images=np.ones((20, 30)))
        assert answer["num_detections"] == 0 and answer["mean_confidence"] is None
        assert "uniform" in answer.context.warnings[0]


def test_dark_blobs_are_found_where_they_are(ask: Ask) -> None:
    """Without noise a Gaussian's centre is exact to the fit's tolerance."""
    y, x = np.mgrid[:64, :64]
    image = 1000 - 500 * np.exp(-((x - 30.3) ** 2 + (y - 20.7) ** 2) / (2 * 2.5**2))
    answer = ask(ML, INFER, task="detect", images=image, polarity="dark")
    [row] = answer["detections"]
    assert (row["x"], row["y"], row["sigma_px"]) == pytest.approx((30.3, 20.7, 2.5), abs=1e-3)
    assert row["flux"] == pytest.approx(-500 * 2 * np.pi * 2.5**2, rel=1e-3)


def discs() -> tuple[Any, list[tuple[int, int, int]]]:
    """Return 8-bit particles: discs of known radius, two of which touch."""
    given = [(20, 20, 8), (60, 25, 12), (25, 70, 10), (68, 70, 11), (88, 70, 10)]
    y, x = np.mgrid[:100, :110]
    image = np.random.default_rng(0).normal(40, 4, x.shape)
    for cx, cy, radius in given:
        image[(x - cx) ** 2 + (y - cy) ** 2 <= radius**2] += 140
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), given


def test_particles_have_their_areas(ask: Ask, tmp_path: Path) -> None:
    image, given = discs()
    path = tmp_path / "particles.png"
    Pillow.fromarray(image).save(path)
    answer = ask(ML, INFER, task="segment", images=[str(path)], _visuals={"static": True, "series": True})
    assert answer["num_detections"] == len(given)
    y, x = np.mgrid[:100, :110]
    for cx, cy, radius in given:
        row = min(answer["detections"], key=lambda row: np.hypot(row["centroid_x"] - cx, row["centroid_y"] - cy))
        true = int(((x - cx) ** 2 + (y - cy) ** 2 <= radius**2).sum())
        tolerance = 0.03 if cy == 70 and cx > 60 else 1e-9  # the two that touch share pixels
        assert row["area_px"] == pytest.approx(true, rel=tolerance)
        assert row["diameter_px"] == pytest.approx(2 * radius, rel=0.03)
        assert (row["centroid_x"], row["centroid_y"]) == pytest.approx((cx, cy), abs=0.3)
    assert answer["masks"][0].max() == len(given)
    assert answer["csv_path"].path.read_text().startswith("image,id,label,confidence,x [pixel]")
    assert len(answer["annotated_images"]) == 1
    metrics = json.loads(answer["metrics_json_path"].path.read_text())
    assert (metrics["num_detections"], metrics["by_label"]) == (5, {"region": 5})


def test_segmented_pixels_are_held_against_a_mask(ask: Ask) -> None:
    image = np.zeros((20, 20), dtype=np.uint8)
    image[5:15, 5:15] = 200
    truth = (image > 0).astype(int)
    truth[0, :4] = 1  # four pixels that are not found
    answer = ask(ML, INFER, task="segment", images=[image], truth=[truth.tolist()], _visuals={"static": True})
    assert answer["confusion_matrix"] == [[296, 0], [4, 100]]
    assert answer["accuracy"] == pytest.approx(396 / 400)
    assert answer["confusion_matrix_png_b64"].path.is_file()


@pytest.fixture
def pictures() -> list[Any]:
    """Two 8-bit images, 4 by 6 pixels: dark above and bright below, and the other way round."""
    image = np.zeros((4, 6), dtype=np.uint8)
    image[2:] = 255
    return [image, image[::-1].copy()]


def onnx_model(path: Path, nodes: list[Any], weights: dict[str, Any], shape: list[Any], outputs: list[str]) -> str:
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    made = [helper.make_node(kind, inputs, named, **more) for kind, inputs, named, more in nodes]
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(
        made, "test", [helper.make_tensor_value_info("image", kinds.FLOAT, shape)],
        [helper.make_tensor_value_info(name, kinds.FLOAT, None) for name in outputs], tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return str(path)


def half_weights() -> Any:
    """Mean of the lower half of 24 pixels minus that of the upper, and the opposite: two logits of ±1."""
    lower = np.zeros((4, 6), dtype=np.float32)
    lower[2:], lower[:2] = 1 / 12, -1 / 12
    return np.stack([lower.ravel(), -lower.ravel()], axis=1)


def two_classes(path: Path) -> str:
    nodes = [("Flatten", ["image"], ["flat"], {"axis": 1}), ("MatMul", ["flat", "weights"], ["logits"], {})]
    return onnx_model(path, nodes, {"weights": half_weights()}, [1, 1, 4, 6], ["logits"])


E = np.exp(1) / (np.exp(1) + np.exp(-1))  # softmax of (1, -1): 0.8808


def test_an_onnx_classifier_answers_as_by_hand(ask: Ask, tmp_path: Path, pictures: list[Any]) -> None:
    model = two_classes(tmp_path / "two.onnx")
    answer = ask(ML, INFER, task="classify", images=pictures, model=model, labels=["ground", "sky"],
                 truth=["ground", "ground"], _visuals={"static": True})  # fmt: skip
    np.testing.assert_allclose(answer["probabilities"], [[E, 1 - E], [1 - E, E]], rtol=1e-6)
    assert [row["label"] for row in answer["detections"]] == ["ground", "sky"]
    assert answer["confusion_matrix"] == [[1, 1], [0, 0]]
    assert (answer["accuracy"], answer["mean_confidence"]) == (0.5, pytest.approx(E, rel=1e-6))
    unsure = ask(ML, INFER, task="classify", images=pictures, model=model, threshold=0.95)
    assert unsure["num_detections"] == 0


def test_weights_in_a_file_beside_the_model_are_refused(
    ask: Ask, tmp_path: Path, pictures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are no part of the key: other weights under the same name would find the old answer."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    nodes = [("Flatten", ["image"], ["flat"], {"axis": 1}), ("MatMul", ["flat", "weights"], ["logits"], {})]
    weights = np.repeat(half_weights(), 50, axis=1)  # so many that ONNX Runtime reads them when it runs
    model = onnx.load(onnx_model(path, nodes, {"weights": weights}, [1, 1, 4, 6], ["logits"]))
    beside = {"save_as_external_data": True, "location": "weights.data", "size_threshold": 0}
    onnx.save_model(model, str(path), **beside)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError, match="has its weights in another file"):
        ask("ml_ai_augmentation", "pattern_recognition_infer", images=pictures, model=str(path), task="classify")


def test_a_torchscript_classifier_answers_alike(ask: Ask, tmp_path: Path, pictures: list[Any]) -> None:
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear(24, 2, bias=False)
    linear.weight.data = torch.tensor(half_weights().T)
    module = torch.nn.Sequential(torch.nn.Flatten(), linear).eval()
    path = tmp_path / "two.pt"
    torch.jit.save(torch.jit.trace(module, torch.zeros(1, 1, 4, 6)), str(path))
    answer = ask(ML, INFER, task="classify", images=pictures, model=str(path), labels=["ground", "sky"])
    np.testing.assert_allclose(answer["probabilities"], [[E, 1 - E], [1 - E, E]], rtol=1e-6)
    with pytest.raises(ComputationError, match="failed on an input of the shape"):
        ask(ML, INFER, task="classify", images=[np.zeros((5, 5))], model=str(path))
    given = ask(ML, INFER, task="classify", images=[np.zeros((8, 12))], model=str(path), input_shape=[1, 4, 6])
    assert given["probabilities"][0] == pytest.approx([0.5, 0.5])
    pickled = tmp_path / "pickled.pt"
    torch.save(module, pickled)
    with pytest.raises(ValidationError, match="is not a TorchScript model"):
        ask(ML, INFER, task="classify", images=pictures, model=str(pickled))


def test_a_program_that_reads_files_is_refused(ask: Ask, tmp_path: Path, pictures: list[Any]) -> None:
    torch = pytest.importorskip("torch")
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"0123456789abcdef")
    code = f"""
    def forward(self, x):
        return torch.from_file({str(secret)!r}, size=4).reshape(1, 4)
    """
    module = torch.jit.ScriptModule()
    module.define(code)
    path = tmp_path / "thief.pt"
    module.save(str(path))
    with pytest.raises(ValidationError, match=r"reads or writes files \(aten::from_file\)"):
        ask(ML, INFER, task="classify", images=pictures, model=str(path))


def test_an_onnx_mask_is_segmented(ask: Ask, tmp_path: Path, pictures: list[Any]) -> None:
    """The model is 10 (pixel - 1/2): the sigmoid of ±5 on either side."""
    nodes = [("Sub", ["image", "half"], ["shifted"], {}), ("Mul", ["shifted", "ten"], ["mask"], {})]
    weights = {"half": np.float32(0.5), "ten": np.float32(10)}
    model = onnx_model(tmp_path / "mask.onnx", nodes, weights, [1, 1, "rows", "columns"], ["mask"])
    answer = ask(ML, INFER, task="segment", images=pictures[:1], model=model, labels=["water"], min_area=1)
    [row] = answer["detections"]
    assert (row["label"], row["area_px"], row["y"], row["height"]) == ("water", 12, 2.5, 2)
    assert row["confidence"] == pytest.approx(1 / (1 + np.exp(-5)), rel=1e-6)
    assert answer["classes"] == ["ground", "water"]


BOXES = np.array([[[0, 0, 4, 2, 0.9, 1], [0, 0, 4, 2, 0.6, 1], [1, 1, 5, 3, 0.8, 0], [2, 0, 3, 1, 0.1, 0]]], np.float32)


def box_model(path: Path, boxes: Any) -> str:
    nodes = [("Identity", ["boxes"], ["found"], {}), ("Identity", ["image"], ["unused"], {})]
    return onnx_model(path, nodes, {"boxes": boxes}, [1, 3, 4, 6], ["found", "unused"][:1])


def test_boxes_are_joined_scaled_and_named(ask: Ask, tmp_path: Path) -> None:
    """The second box repeats the first and goes; the fourth is below the threshold; the image is twice as large."""
    model = box_model(tmp_path / "boxes.onnx", BOXES)
    image = np.zeros((8, 12, 3), dtype=np.uint8)
    answer = ask(ML, INFER, task="detect", images=[image], model=model, labels=["cat", "dog"],
                 truth=[[[0, 0, 8, 4]]])  # fmt: skip
    rows = answer["detections"]
    assert [(row["label"], row["confidence"]) for row in rows] == [
        ("dog", pytest.approx(0.9)),
        ("cat", pytest.approx(0.8)),
    ]
    assert [rows[0][name] for name in ("x", "y", "width", "height")] == pytest.approx([3.5, 1.5, 8, 4])
    assert answer["confusion_matrix"] == [[1, 0], [1, 0]] and answer["accuracy"] == 0.5


@pytest.mark.parametrize(("layout", "first"), [("xywh", [0, 0, 4, 2]), ("cxcywh", [2, 1, 4, 2])])
def test_the_layouts_of_boxes_mean_the_same(ask: Ask, tmp_path: Path, layout: str, first: list[float]) -> None:
    table = np.array([[*first, 0.9, 0.05]], np.float32).T[None]  # one score a class, transposed
    model = box_model(tmp_path / "boxes.onnx", np.repeat(table, 8, axis=2))
    answer = ask(ML, INFER, task="detect", images=[np.zeros((4, 6, 3))], model=model, box_format=layout,
                 box_layout="class_scores")  # fmt: skip
    [row] = answer["detections"]
    assert [row[name] for name in ("x", "y", "width", "height")] == pytest.approx([1.5, 0.5, 4, 2])
    assert row["label"] == "class 0"


def png(image: Any) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_images_come_in_many_forms(ask: Ask, tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits")
    image = np.clip(star_field()[0], 0, 65535).astype(np.uint16)
    found = []
    for name in ("a.png", "a.tiff"):
        Pillow.fromarray(image).save(tmp_path / name)
        found.append(ask(ML, INFER, task="detect", images=str(tmp_path / name)))
    fits.PrimaryHDU(image).writeto(tmp_path / "a.fits")
    found.append(ask(ML, INFER, task="detect", images=[str(tmp_path / "a.fits")]))
    found.append(ask(ML, INFER, task="detect", image_data=base64.b64encode(png(image)).decode()))
    found.append(
        ask(ML, INFER, task="detect", images=["data:image/png;base64," + base64.b64encode(png(image)).decode()])
    )
    found.append(ask(ML, INFER, task="detect", images=image.tolist(), model_type="log", confidence_threshold=0.5))
    places = [[(row["x"], row["y"]) for row in answer["detections"]] for answer in found]
    assert all(len(place) == 25 for place in places)
    for place in places[1:]:
        np.testing.assert_allclose(place, places[0], atol=1e-6)
    stack = ask(ML, INFER, task="detect", images=np.stack([image, image]))
    assert stack["num_detections"] == 50


def test_blank_pixels_are_told(ask: Ask) -> None:
    image, _, _ = star_field()
    image[3, 4] = np.nan
    answer = ask(ML, INFER, task="detect", images=[image])
    assert answer["num_detections"] == 25 and "1 pixels" in answer.context.warnings[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 1.5}, "less than or equal to 1"),
        ({"images": []}, "at least one"),
        ({"images": ["missing.png"]}, "does not exist"),
        ({"images": [[[1, 2], [3]]]}, "different lengths"),
        ({"images": np.ones((4, 4, 4, 4, 4))}, "shape"),
        ({"images": np.full((4, 4), np.nan)}, "no finite pixel"),
        ({"model": "yolo"}, "neither a file nor a classical method"),
        ({"model": "watershed"}, "is there to segment"),
        ({"task": "classify"}, "no classical method that classifies"),
        ({"labels": ["a", "b"]}, "know one class"),
        ({"truth": [[], []]}, "truth has 2 items for 1 images"),
        ({"truth": [[[1, 2, 3]]]}, "3 numbers an object"),
        ({"max_sigma": 0.5}, "below min_sigma"),
        ({"image_data": ["b.png"]}, "mean the same"),
    ],
)  # fmt: skip
def test_wrong_requests_are_explained(ask: Ask, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ask(ML, INFER, **{"task": "detect", "images": [np.eye(20)], **change})


def test_files_that_are_no_images_or_models_are_explained(
    ask: Ask, tmp_path: Path, pictures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)  # as WeasyPrint leaves it
    text, cut = tmp_path / "a.png", tmp_path / "b.png"
    text.write_text("not an image")
    cut.write_bytes(png(np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8))[:400])
    for path, words in ((text, "is not an image"), (cut, "cannot be read as an image")):
        with pytest.raises(ValidationError, match=words):
            ask(ML, INFER, task="detect", images=[str(path)])
    pytest.importorskip("onnxruntime")
    wrong = tmp_path / "model.onnx"
    wrong.write_bytes(b"\x08\x07not a model at all")
    with pytest.raises(ValidationError, match="neither an ONNX nor a TorchScript"):
        ask(ML, INFER, task="classify", images=pictures, model=str(wrong))
    flat = onnx_model(tmp_path / "flat.onnx", [("Identity", ["image"], ["out"], {})], {}, [1, 10], ["out"])
    with pytest.raises(ValidationError, match="An image is needed"):
        ask(ML, INFER, task="classify", images=pictures, model=flat)
    deep = onnx_model(tmp_path / "deep.onnx", [("Identity", ["image"], ["out"], {})], {}, [1, 7, 4, 6], ["out"])
    with pytest.raises(ValidationError, match="takes 7 channels"):
        ask(ML, INFER, task="classify", images=pictures, model=deep)
    model = two_classes(tmp_path / "two.onnx")
    with pytest.raises(ValidationError, match=r"3 labels are given, and 'two[.]onnx' has 2 classes"):
        ask(ML, INFER, task="classify", images=pictures, model=model, labels=["a", "b", "c"])
    with pytest.raises(ValidationError, match="is no class of the model"):
        ask(ML, INFER, task="classify", images=pictures, model=model, truth=["a", "b"])
    with pytest.raises(ComputationError, match="no boxes and scores"):
        ask(ML, INFER, task="detect", images=pictures, model=model)
