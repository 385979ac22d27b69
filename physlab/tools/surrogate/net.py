"""The network of a surrogate, and its file: an ONNX graph that any runtime evaluates, with no pickle in it."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from physlab.tools.types import Array

OPSET, IR_VERSION = 17, 8
_TYPES = {"float32": 1, "int64": 7, "float64": 11}


class Plan:
    """What a network computes around its layers: inputs to [-1, 1] or onto a circle, outputs times their scale.

    Args:
        bounds: (variables, 2) lower and upper ends.
        periodic: One boolean a variable: its angle's sine and cosine enter instead of the variable.
        offset: (unknowns) added to the outputs.
        scale: (unknowns) what the outputs are multiplied with.
        layers: Widths of the hidden layers.
    """

    def __init__(
        self, bounds: Array, periodic: Sequence[bool], offset: Array, scale: Array, layers: Sequence[int]
    ) -> None:
        self.bounds, self.periodic = np.asarray(bounds, float), list(periodic)
        self.offset, self.scale, self.layers = np.asarray(offset, float), np.asarray(scale, float), list(layers)

    def affine(self) -> tuple[Array, Array, Array]:
        """Return matrix, shift and mask so that features are z = xA + b, with sin z where the mask is one."""
        rows = []
        for (low, high), circle in zip(self.bounds, self.periodic, strict=True):
            if circle:
                slope = 2 * math.pi / (high - low)
                rows += [(slope, -slope * low, 1.0), (slope, math.pi / 2 - slope * low, 1.0)]  # cos is sin shifted
            else:
                rows.append((2 / (high - low), -(high + low) / (high - low), 0.0))
        owner = [i for i, circle in enumerate(self.periodic) for _ in range(2 if circle else 1)]
        matrix = np.zeros((len(self.bounds), len(rows)))
        for column, (variable, row) in enumerate(zip(owner, rows, strict=True)):
            matrix[variable, column] = row[0]
        return matrix, np.array([row[1] for row in rows]), np.array([row[2] for row in rows])


def make_network(torch: Any, plan: Plan, seed: int, device: str, dtype: Any) -> Any:
    """Return a fully connected tanh network whose weights depend on the seed alone (Glorot and Bengio 2010).

    Returns:
        A module: (points, variables) → (points, unknowns).
    """
    matrix, shift, mask = (torch.tensor(part, dtype=dtype, device=device) for part in plan.affine())
    offset, scale = (torch.tensor(part, dtype=dtype, device=device) for part in (plan.offset, plan.scale))
    generator = torch.Generator().manual_seed(seed)
    widths = [matrix.shape[1], *plan.layers, len(plan.scale)]
    weights, biases = torch.nn.ParameterList(), torch.nn.ParameterList()
    for inside, outside in pairwise(widths):
        drawn = torch.randn(inside, outside, generator=generator, dtype=torch.float64)
        drawn = drawn * math.sqrt(2 / (inside + outside))
        weights.append(torch.nn.Parameter(drawn.to(device=device, dtype=dtype)))
        biases.append(torch.nn.Parameter(torch.zeros(outside, device=device, dtype=dtype)))

    class Network(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights, self.biases = weights, biases

        def forward(self, points: Any) -> Any:
            z = points @ matrix + shift
            z = torch.where(mask > 0, torch.sin(z), z)
            for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                z = z @ weight + bias
                if number < len(plan.layers):
                    z = torch.tanh(z)
            return z * scale + offset

    return Network()


def onnx_bytes(plan: Plan, weights: Sequence[Array], biases: Sequence[Array], facts: Mapping[str, Any]) -> bytes:
    """Return the network as an ONNX model: `points` (n, variables) → `values` (n, unknowns), float64.

    Args:
        plan: What surrounds the layers.
        weights: (inputs, outputs) of each layer.
        biases: (outputs) of each layer.
        facts: JSON values for the model's metadata `physlab`.

    Returns:
        A serialised `ModelProto` (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto); the same network gives the
        same bytes.
    """
    matrix, shift, mask = plan.affine()
    tensors = {"matrix": matrix, "shift": shift, "mask": mask, "rest": 1 - mask}
    tensors |= {"scale": plan.scale, "offset": plan.offset}
    steps = [("MatMul", ("points", "matrix"), "z0"), ("Add", ("z0", "shift"), "z1"), ("Sin", ("z1",), "z2")]
    steps += [("Mul", ("z2", "mask"), "z3"), ("Mul", ("z1", "rest"), "z4"), ("Add", ("z3", "z4"), "h0")]
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        tensors |= {f"weight{number}": weight, f"bias{number}": bias}
        steps += [("MatMul", (f"h{number}", f"weight{number}"), f"p{number}")]
        last = number == len(weights) - 1
        steps += [("Add", (f"p{number}", f"bias{number}"), "raw" if last else f"q{number}")]
        if not last:
            steps += [("Tanh", (f"q{number}",), f"h{number + 1}")]
    steps += [("Mul", ("raw", "scale"), "scaled"), ("Add", ("scaled", "offset"), "values")]
    graph = b"".join(
        _field(1, b"".join(_field(1, name.encode()) for name in inputs) + _field(2, output.encode())
               + _field(3, output.encode()) + _field(4, kind.encode()))
        for kind, inputs, output in steps
    )  # fmt: skip
    graph += _field(2, b"surrogate") + b"".join(_field(5, _tensor(name, value)) for name, value in tensors.items())
    graph += _field(11, _value_info("points", len(plan.bounds))) + _field(12, _value_info("values", len(plan.scale)))
    told = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return (
        _number(1, IR_VERSION) + _field(2, b"physlab") + _field(7, graph) + _field(8, _number(2, OPSET))
        + _field(14, _field(1, b"physlab") + _field(2, told.encode()))
    )  # fmt: skip


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _tensor(name: str, value: Array) -> bytes:
    array = np.ascontiguousarray(value, dtype="<f8")
    head = b"".join(_number(1, length) for length in array.shape) + _number(2, _TYPES["float64"])
    return head + _field(8, name.encode()) + _field(9, struct.pack(f"<{array.size}d", *array.ravel()))


def _value_info(name: str, columns: int) -> bytes:
    shape = _field(1, _field(2, b"n")) + _field(1, _number(1, columns))
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, _TYPES["float64"]) + _field(2, shape)))
