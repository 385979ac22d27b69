"""A user's own model: ONNX files by ONNX Runtime, TorchScript files by PyTorch; inputs made, outputs read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from physlab.errors import ComputationError, ValidationError
from physlab.tools.acceleration import import_torch, single_thread
from physlab.tools.context import Context
from physlab.tools.data.filevalues import file_of
from physlab.tools.extras import require
from physlab.tools.pattern.images import LUMINANCE, Image
from physlab.tools.types import Array, File

PURPOSE = "pattern_recognition_infer"
_ZIP = b"PK\x03\x04"
_ONNX_TYPES = {"tensor(float)": "f4", "tensor(double)": "f8", "tensor(float16)": "f2", "tensor(uint8)": "u1"}
Shape = tuple[int | None, int | None, int | None]
FILE_OPERATIONS = ("aten::from_file", "aten::save", "aten::load", "prim::PythonOp")


@dataclass(frozen=True)
class Network:
    """A loaded model.

    Attributes:
        name: File name.
        shape: Channels, rows and columns of its input; None where it takes any.
        channels_last: True when its input is (1, rows, columns, channels).
        dtype: Number type of its input.
        run: `input -> [(name, array), …]`.
    """

    name: str
    shape: Shape
    channels_last: bool
    dtype: str
    run: Callable[[Array], list[tuple[str, Array]]]


def load_network(file: File, input_shape: Sequence[int] | None, context: Context) -> Network:
    """Return a model, by the content of its file.

    Raises:
        ValidationError: It is neither ONNX nor TorchScript, or its input is no image.
        MissingExtraError: ONNX Runtime or PyTorch is not installed.
    """
    path = file_of(file)
    with path.open("rb") as stream:
        zipped = stream.read(4) == _ZIP
    if zipped:
        return _torchscript(path, file.name, input_shape, context)
    if input_shape is not None:
        raise ValidationError("input_shape is read from an ONNX model.", hint="Leave it out.")
    return _onnx(path, file.name, context)


def _onnx(path: Path, name: str, context: Context) -> Network:
    runtime = require("onnxruntime", PURPOSE)
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    nothing = context.workdir / "no weights here"  # ONNX Runtime would read them from where the lab was started
    nothing.mkdir(exist_ok=True)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(nothing))
    wanted = {"cuda": "CUDAExecutionProvider", "hip": "ROCMExecutionProvider"}.get(context.device)
    providers = ["CPUExecutionProvider"]
    if wanted in runtime.get_available_providers():
        providers.insert(0, str(wanted))
    elif context.device != "cpu":
        _on_cpu(context, f"this ONNX Runtime has no provider for {context.device}")
    broken = (states.InvalidProtobuf, states.InvalidGraph, states.Fail, states.InvalidArgument, states.NotImplemented)
    try:
        session = runtime.InferenceSession(path.read_bytes(), options, providers=providers)
    except broken as error:
        if "External data path" in str(error):
            raise ValidationError(
                f"'{name}' has its weights in another file, which is no part of this call.",
                hint="Save it as one file: onnx.save_model(onnx.load(path), path, save_as_external_data=False).",
            ) from error
        raise ValidationError(
            f"'{name}' is neither an ONNX nor a TorchScript model: {_short(error)}.",
            hint="Export it with torch.onnx.export, or torch.jit.save.",
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        told = ", ".join(item.name for item in inputs)
        raise ValidationError(f"'{name}' has {len(inputs)} inputs ({told}).", hint="A model of one image is needed.")
    given = [size if isinstance(size, int) and size > 0 else None for size in inputs[0].shape]
    dtype = _ONNX_TYPES.get(inputs[0].type)
    if len(given) != 4 or dtype is None:
        raise ValidationError(
            f"The input of '{name}' is {inputs[0].type} of the shape {inputs[0].shape}.",
            hint="An image is needed: (1, channels, rows, columns) or (1, rows, columns, channels) of numbers.",
        )
    last = given[3] in (1, 3) and given[1] not in (1, 3)
    shape = (given[3], given[1], given[2]) if last else (given[1], given[2], given[3])
    outputs = [item.name for item in session.get_outputs()]

    def run(array: Array) -> list[tuple[str, Array]]:
        try:
            found = session.run(outputs, {inputs[0].name: array})
        except (states.Fail, states.InvalidArgument, states.RuntimeException) as error:
            raise ComputationError(
                f"'{name}' failed: {_short(error)}.", hint="Check the size of the images."
            ) from error
        return [(label, np.asarray(part)) for label, part in zip(outputs, found, strict=True)]

    return Network(name, shape, last, dtype, run)


def _refuse_files(module: Any, name: str) -> None:
    """Refuse a program that reads or writes files: what it reads would be in no key, and could be anybody's.

    Raises:
        ValidationError: It does.
    """
    graph = str(module.inlined_graph)
    touched = next((word for word in FILE_OPERATIONS if word in graph), None)
    if touched is not None:
        raise ValidationError(
            f"'{name}' reads or writes files ({touched}).", hint="Give a model that computes from its input alone."
        )


def _torchscript(path: Path, name: str, input_shape: Sequence[int] | None, context: Context) -> Network:
    torch = import_torch(f"{PURPOSE} with a TorchScript model")
    if context.device != "cpu":
        _on_cpu(context, "TorchScript models are run on the CPU")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ValidationError(
            f"'{name}' is not a TorchScript model: {_short(error)}.",
            hint="Save it with torch.jit.save; weights alone (a state_dict) or a pickled module are not loaded.",
        ) from error
    _refuse_files(module, name)
    dtype = next((str(item.dtype) for item in module.parameters()), "torch.float32")

    def run(array: Array) -> list[tuple[str, Array]]:
        try:
            with torch.no_grad(), single_thread(torch):
                found = module(torch.from_numpy(array))
        except RuntimeError as error:
            raise ComputationError(
                f"'{name}' failed on an input of the shape {array.shape}: {_short(error)}.",
                hint="Give input_shape: [channels, rows, columns].",
            ) from error
        return list(_named(found))

    shape: Shape = (None, None, None) if input_shape is None else (input_shape[0], input_shape[1], input_shape[2])
    return Network(name, shape, False, "f8" if dtype.endswith("float64") else "f4", run)


def _named(found: Any) -> list[tuple[str, Array]]:
    """Return the outputs of a TorchScript model: a tensor, several, or a mapping (or a list of one mapping)."""
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, dict):
        return [(str(key), item.numpy()) for key, item in found.items()]
    if isinstance(found, list | tuple):
        return [(f"output{number}", item.numpy()) for number, item in enumerate(found)]
    return [("output0", found.numpy())]


def _on_cpu(context: Context, reason: str) -> None:
    context.warn(f"{PURPOSE}: computing on the CPU instead of {context.device}, since {reason}.")
    context.meta.update(device="cpu", device_fallback=f"{context.device}: {reason}")


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return (lines[-1] if "Traceback" in str(error) else " ".join(lines))[:300].rstrip(".")


def make_input(image: Image, network: Network, params: Any) -> Array:
    """Return an image as a model takes it: (1, channels, rows, columns), scaled and resized.

    Raises:
        ValidationError: The model's number of channels fits no image, or mean and std do not fit it.
    """
    pixels = image.pixels if image.pixels.ndim == 3 else image.pixels[:, :, None]
    channels = network.shape[0] or pixels.shape[2]
    if channels not in (1, 3):
        raise ValidationError(
            f"'{network.name}' takes {channels} channels, and '{image.name}' has {pixels.shape[2]}.",
            hint="A model of one or three channels is needed.",
        )
    if channels != pixels.shape[2]:
        pixels = (pixels @ LUMINANCE)[:, :, None] if channels == 1 else np.repeat(pixels, 3, axis=2)
    rows, columns = network.shape[1] or pixels.shape[0], network.shape[2] or pixels.shape[1]
    if (rows, columns) != pixels.shape[:2]:
        resize = require("skimage.transform", PURPOSE).resize
        shrinks = rows < pixels.shape[0] or columns < pixels.shape[1]
        pixels = resize(pixels, (rows, columns), order=1, anti_aliasing=shrinks, preserve_range=True)
    if network.dtype == "u1":
        return np.ascontiguousarray(_ordered(np.clip(np.rint(pixels), 0, 255), network), dtype="u1")
    pixels = pixels / (params.pixel_scale or image.full or 1.0)
    for name, values in (("mean", params.mean), ("std", params.std)):
        if values and len(values) not in (1, channels):
            raise ValidationError(f"{name} has {len(values)} numbers for {channels} channels.", hint="One a channel.")
    pixels = (pixels - np.array(params.mean or [0.0])) / np.array(params.std or [1.0])
    return np.ascontiguousarray(_ordered(pixels, network), dtype=network.dtype)


def _ordered(pixels: Array, network: Network) -> Array:
    return pixels[None] if network.channels_last else pixels.transpose(2, 0, 1)[None]


def probabilities(values: Array, axis: int) -> Array:
    """Return class probabilities: outputs that are none yet go through softmax, a single one through the sigmoid."""
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise ComputationError("The model's output is not finite.", hint="Check pixel_scale, mean and std.")
    inside = values.min() >= 0 and values.max() <= 1 + 1e-6
    if values.shape[axis] == 1:
        return values if inside else 1 / (1 + np.exp(-np.clip(values, -700, 700)))
    if inside and np.allclose(values.sum(axis=axis), 1, atol=1e-3):
        return values
    raised = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(raised / raised.sum(axis=axis, keepdims=True))


def class_names(count: int, labels: Sequence[str], network: Network) -> list[str]:
    """Return the names of a model's classes; those without a label get a number.

    Raises:
        ValidationError: There are more labels than classes.
    """
    if len(labels) > count:
        raise ValidationError(
            f"{len(labels)} labels are given, and '{network.name}' has {count} classes.", hint="One for each class."
        )
    return [*labels, *(f"class {number}" for number in range(len(labels), count))]
