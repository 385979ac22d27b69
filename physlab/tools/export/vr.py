"""A mesh for virtual reality and for other programs: binary glTF 2.0 (GLB) or PLY."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from physlab.errors import ValidationError
from physlab.tools.context import Context
from physlab.tools.export.archive import slug
from physlab.tools.export.mesh import Mesh, check_colors, check_normals, check_triangles, check_vertices
from physlab.tools.export.vr_picture import draw_mesh
from physlab.tools.extras import require
from physlab.tools.figures import STATIC_PORTS, drawing, save_static
from physlab.tools.registry import Port
from physlab.tools.types import Array, VisualParams
from physlab.tools.workcopy import to_json

PURPOSE = "The export vr_export"
COARSE = 1e-5  # a rounding of positions above this part of the mesh's size is told
PORTS = (
    Port("path", "file", description="The mesh"),
    Port("area", "number", description="Area of its triangles, in the square of the unit of the vertices"),
    Port("volume", "number", description="Volume it encloses, null when it is open; negative when it is inside out"),
    Port("watertight", "boolean", description="True when it is closed, and its triangles turn the same way"),
    Port("bounds", "list", description="[[least x, y, z], [greatest x, y, z]]"),
    *STATIC_PORTS,
)


def _from_surface(value: Any) -> Any:
    """Read the whole reply of an isosurface as a mesh, and `triangles` as `faces`."""
    if not isinstance(value, Mapping):
        return value
    if value.get("mode") == "isosurface" and "triangles" in value:
        return {"vertices": value["vertices"], "faces": value["triangles"]}
    if "triangles" in value and "faces" not in value:
        return {"faces" if key == "triangles" else key: item for key, item in value.items()}
    return value


class Geometry(BaseModel):
    """Corners and faces, as they were given."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    vertices: Array
    faces: Any
    normals: Array | None = None
    colors: Array | None = None

    @field_validator("faces")
    @classmethod
    def _listed(cls, faces: Any) -> Any:
        if not isinstance(faces, list | tuple | np.ndarray):
            raise ValueError("a list of faces [i, j, k] is needed")
        return faces


class VrParams(VisualParams):
    """A mesh and the format it is written in."""

    geometry: Annotated[Geometry, BeforeValidator(_from_surface)] = Field(
        description="{vertices [[x, y, z], …], faces [[i, j, k], …], normals?, colors?}; `triangles` means faces; or "
        "from:node of a volume_3d with mode isosurface."
    )
    format: Literal["glb", "ply"] = Field("glb", description="glb (binary glTF 2.0) or ply (binary).")
    extras: dict[str, Any] = Field({}, description="Kept in the file: extras of the glTF mesh, a comment of the PLY.")
    name: str = Field("mesh", max_length=80, description="Name of the mesh and of the file.")
    up: Literal["y", "z"] = Field(
        "y", description="Which axis points up for a viewer of glTF, whose own is y: z turns the mesh by a node."
    )


def vr_export(params: VrParams, context: Context) -> dict[str, Any]:
    """Write a mesh as GLB or PLY.

    Positions are stored as 32-bit numbers, as both formats have it. A mesh may be open or not a manifold.

    Args:
        params: The mesh.
        context: The surroundings of the call.

    Returns:
        The file, read back and found the same, its area and volume, and a picture.

    Raises:
        ValidationError: An index is out of range, a number is not finite, or a shape is wrong.
        MissingExtraError: trimesh is not installed.
    """
    trimesh = require("trimesh", PURPOSE)
    given = params.geometry
    context.enforce("values", np.asarray(given.vertices).size, "numbers in geometry.vertices")
    vertices = check_vertices(given.vertices)
    triangles = check_triangles(given.faces, len(vertices))
    context.enforce("values", triangles.size, "numbers in geometry.faces")
    mesh = Mesh(
        vertices,
        triangles,
        None if given.normals is None else check_normals(given.normals, len(vertices)),
        None if given.colors is None else check_colors(given.colors, len(vertices)),
    )
    _warn(mesh, context)
    extras = to_json(params.extras, "extras")
    content = _write(mesh, params, extras, trimesh)
    _read_back(content, mesh, params, trimesh)
    name = slug(params.name, "mesh")
    caption = f"Mesh '{params.name}' of {len(vertices)} vertices and {len(triangles)} triangles."
    saved = context.save(
        content, f"{name}.{params.format}", role="data", caption=caption, field="path", media_type=MEDIA[params.format]
    )
    context.meta.update(
        vertices=len(vertices),
        faces=len(triangles),
        format=params.format,
        has_normals=mesh.normals is not None,
        has_colors=mesh.colors is not None,
        **({"extras": extras} if extras else {}),
    )
    fields = {
        "path": saved,
        "area": mesh.area(),
        "volume": mesh.volume(),
        "watertight": mesh.closed(),
        "bounds": [vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()],
    }
    if context.wants("static"):
        with drawing(7, 6) as figure:
            draw_mesh(figure, mesh)
            fields |= save_static(context, figure, name, caption)
    return fields


MEDIA = {"glb": "model/gltf-binary", "ply": "model/ply"}


def _warn(mesh: Mesh, context: Context) -> None:
    first, second, third = mesh.triangles.T
    folded = int(((first == second) | (second == third) | (first == third)).sum())
    if folded:
        context.warn(f"{folded} faces name a vertex twice and have no area.")
    unused = len(mesh.vertices) - len(np.unique(mesh.triangles))
    if unused:
        context.warn(f"{unused} vertices belong to no face.")
    size = float(np.ptp(mesh.vertices, axis=0).max())
    rounding = float(np.abs(mesh.vertices.astype(np.float32) - mesh.vertices).max())
    if rounding > COARSE * size:
        context.warn(
            f"32-bit numbers round the vertices by up to {rounding:.2g}, and the mesh is only {size:.2g} across; move "
            "it to the origin."
        )


def _write(mesh: Mesh, params: VrParams, extras: Any, trimesh: Any) -> bytes:
    solid = trimesh.Trimesh(
        vertices=mesh.vertices, faces=mesh.triangles, vertex_normals=mesh.normals, vertex_colors=mesh.colors,
        process=False, validate=False,
    )  # fmt: skip
    if params.format == "ply":
        content: bytes = trimesh.exchange.ply.export_ply(
            solid, vertex_normal=mesh.normals is not None, include_attributes=False
        )
        return _with_comment(content, extras)
    scene = trimesh.Scene()
    turned = trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]).round(12) if params.up == "z" else None
    scene.add_geometry(solid, node_name=params.name, geom_name=params.name, transform=turned)

    def finish(tree: dict[str, Any]) -> None:
        tree["asset"]["generator"] = "physlab"
        for item in tree["meshes"]:
            item.pop("extras", None)
            if extras:
                item["extras"] = extras

    return bytes(
        trimesh.exchange.gltf.export_glb(scene, include_normals=mesh.normals is not None, tree_postprocessor=finish)
    )


def _with_comment(content: bytes, extras: Any) -> bytes:
    """Put extras into the head of a PLY file, as JSON in a comment."""
    if not extras:
        return content
    head, end, rest = content.partition(b"\nelement vertex")
    line = json.dumps(extras, ensure_ascii=True, separators=(",", ":")).encode()
    return head + b"\ncomment extras " + line + end + rest


def _read_back(content: bytes, mesh: Mesh, params: VrParams, trimesh: Any) -> None:
    """Read the file as others will, and hold it against what was meant."""
    import io

    found = trimesh.load(io.BytesIO(content), file_type=params.format, process=False)
    if params.format == "glb":
        [found] = found.geometry.values()
    same = found.vertices.shape == mesh.vertices.shape and np.array_equal(
        np.asarray(found.vertices, dtype=np.float32), mesh.vertices.astype(np.float32)
    )
    if mesh.normals is not None:
        same = same and np.allclose(found.vertex_normals, mesh.normals, atol=1e-6)
    if mesh.colors is not None:
        same = same and np.array_equal(found.visual.vertex_colors, mesh.colors)
    if not same or not np.array_equal(found.faces, mesh.triangles):
        raise ValidationError(
            f"The {params.format} file does not hold what was given when it is read back.",
            hint="Please report this mesh; another format may do.",
        )
