"""Films of figures: only the moving parts are drawn again, in segments that may be drawn apart from each other."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from physlab.errors import ComputationError
from physlab.tools.context import Context
from physlab.tools.figures import settle
from physlab.tools.registry import Extent, Port
from physlab.tools.segments import SEGMENT, Format, encode, join
from physlab.tools.types import Array, File

SHEET, SHEET_COLUMNS, SHEET_PX = 6, 3, 1500  # stills on a contact sheet, in a row, and its width [pixels]
MEDIA_TYPES = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif"}
FRAME_S = 0.008
"""What a frame costs, whatever is on it [s]; like the next two, measured once: bounds of parts must not vary."""
MAP_NS = 35
"""What a map of colours costs [ns/pixel]."""
ENCODE_NS = {"mp4": 20, "webm": 75, "gif": 50}
"""What encoding costs [ns/pixel]."""

ANIMATION_PORTS = (
    Port("animation_path", "animation", description="The film."),
    Port("mp4_path", "animation", description="The same film, when it is an MP4."),
)


@dataclass(frozen=True, eq=False)
class Reel:
    """The frames of a film, drawn when they are asked for.

    Attributes:
        blitter: The figure.
        count: How many frames there are.
        update: Moves the artists to frame i, whatever was drawn before; may return new artists in place of the old.
    """

    blitter: Blitter
    count: int
    update: Callable[[int], Sequence[Any] | None]

    def __iter__(self) -> Iterator[Array]:
        return self.cut(0, self.count)

    def cut(self, start: int, stop: int) -> Iterator[Array]:
        """Yield the frames from `start` to before `stop`; each is overwritten by the next."""
        for index in range(start, stop):
            fresh = self.update(index)
            if fresh is not None:
                self.blitter.artists = list(fresh)
            yield self.blitter.frame()


@dataclass(frozen=True)
class Takes:
    """Segments of a film in order, and the stills for its contact sheet that are among them."""

    segments: list[Path]
    stills: list[Array]


def save_movie(
    context: Context, reel: Reel, name: str, caption: str, *, fps: float = 24, format: Format = "mp4"
) -> dict[str, File]:
    """Encode frames and hand the film over, with a contact sheet for paper.

    A part of the node hands in its segments instead; the node then joins those.

    Args:
        context: The call that draws.
        reel: The frames.
        name: File name without extension.
        caption: One sentence made from the parameters.
        fps: Frames per second.
        format: `mp4`, `webm` or `gif`.

    Returns:
        The reply field `animation_path`, and `mp4_path` for an MP4; nothing in a part.

    Raises:
        ComputationError: The film cannot be written, or parts are missing.
    """
    segments = range(-(-reel.count // SEGMENT))
    if context.share is not None:
        takes = _shoot(context, reel, segments[context.share.start : context.share.stop], fps, format)
        context.hand_in(_kept(takes, context.workdir))
        return {}
    takes = _of_parts(context.parts) if context.parts else _shoot(context, reel, segments, fps, format)
    if len(takes.segments) != len(segments):
        raise ComputationError(f"{len(takes.segments)} of {len(segments)} segments of {name} were made.")
    path = context.workdir / f"{name}.{format}"
    join(path, takes.segments, format)
    context.save(_contact_sheet(takes.stills), f"{name}_sheet.png", role="thumbnail")
    file = context.save(
        path, path.name, role="animation", caption=caption, field="animation_path", media_type=MEDIA_TYPES[format]
    )
    return {"animation_path": file, "mp4_path": file} if format == "mp4" else {"animation_path": file}


def _shoot(context: Context, reel: Reel, numbers: Sequence[int], fps: float, format: Format) -> Takes:
    """Draw and encode segments."""
    takes = Takes([], [])
    for number in numbers:
        start, stop = number * SEGMENT, min((number + 1) * SEGMENT, reel.count)
        path = context.workdir / f"segment{number}.{format}"
        frames = _keep(reel.cut(start, stop), start, reel.count, takes.stills)
        encode(path, frames, size=reel.blitter.size, fps=fps, format=format)
        takes.segments.append(path)
    return takes


def _keep(frames: Iterable[Array], start: int, count: int, kept: list[Array]) -> Iterator[Array]:
    """Pass frames on, keeping the few that the contact sheet shows."""
    wanted = {round(index * count / SHEET) for index in range(SHEET)}
    for index, frame in enumerate(frames, start):
        if index in wanted:
            kept.append(np.array(frame[:, :, :3]))
        yield frame


def _kept(takes: Takes, folder: Path) -> dict[str, Any]:
    """Return what a part hands in: its segments, and its stills without loss."""
    from PIL import Image

    stills = [folder / f"still{number}.png" for number in range(len(takes.stills))]
    for path, still in zip(stills, takes.stills, strict=True):
        Image.fromarray(still).save(path, compress_level=1)
    return {name: [File(path, path.name) for path in paths]
            for name, paths in (("segments", takes.segments), ("stills", stills))}  # fmt: skip


def _of_parts(parts: Sequence[Mapping[str, Any]]) -> Takes:
    """Return what parts handed in, in their order."""
    from PIL import Image

    stills = [np.asarray(Image.open(file.path)) for part in parts for file in part["stills"]]
    return Takes([file.path for part in parts for file in part["segments"]], stills)


def film_extent(frames: int, size: tuple[float, float], format: str, *, map_ns: float = MAP_NS) -> Extent:
    """Return how much work a film is; its units are segments.

    Args:
        frames: How many frames.
        size: Width and height [pixels].
        format: `mp4`, `webm` or `gif`.
        map_ns: What drawing costs [ns/pixel]; 0 for lines.
    """
    pixels = size[0] * size[1]
    return Extent(-(-frames // SEGMENT), frames * (FRAME_S + pixels * (map_ns + ENCODE_NS[format]) * 1e-9))


def _contact_sheet(frames: Sequence[Array]) -> bytes:
    """Return stills of a film as one PNG, three in a row, in the order of time."""
    from PIL import Image

    width = SHEET_PX // SHEET_COLUMNS
    stills = [Image.fromarray(frame) for frame in frames]
    height = round(stills[0].height * width / stills[0].width)
    stills = [still.resize((width, height), Image.Resampling.LANCZOS) for still in stills]
    rows = -(-len(stills) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (width * min(len(stills), SHEET_COLUMNS), height * rows), "white")
    for index, still in enumerate(stills):
        sheet.paste(still, (index % SHEET_COLUMNS * width, index // SHEET_COLUMNS * height))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def repaint(image: Any, values: Array) -> None:
    """Give an image new values; colours are looked up before the resampling, which halves the cost of a frame."""
    if hasattr(image, "set_data"):
        image.set_data(image.cmap(image.norm(values), bytes=True))
    else:  # a mesh of uneven cells
        image.set_array(values)


class Blitter:
    """A figure whose background is drawn once and whose moving artists are drawn for every frame.

    Args:
        figure: A figure on an Agg canvas, with everything on it.
        artists: What moves, from back to front; axes of an image are drawn again above it.
    """

    def __init__(self, figure: Any, artists: Sequence[Any]) -> None:
        self.figure, self.canvas, self.artists = figure, figure.canvas, list(artists)
        for artist in self.artists:
            artist.set_animated(True)
        settle(figure)
        self.canvas.draw()
        figure.set_layout_engine("none")  # the layout is settled; later frames must not move the axes
        self._background = self.canvas.copy_from_bbox(figure.bbox)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames [pixels]."""
        width, height = self.canvas.get_width_height()
        return int(width), int(height)

    def frame(self) -> Array:
        """Draw the artists as they are now; the returned buffer is overwritten by the next frame."""
        self.canvas.restore_region(self._background)
        for artist in self.artists:
            self.figure.draw_artist(artist)
        return np.asarray(self.canvas.buffer_rgba())

    def frames(self, count: int, update: Callable[[int], Sequence[Any] | None]) -> Reel:
        """Return frames to be drawn.

        Args:
            count: How many.
            update: Moves the artists to frame i; may return new artists that take the place of the old.
        """
        return Reel(self, count, update)
