"""Frames to a film: raw pixels down a pipe to ffmpeg, and figures of which only the moving parts are drawn again."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from physlab.errors import ComputationError, ConfigurationError
from physlab.tools.context import Context
from physlab.tools.figures import settle
from physlab.tools.registry import Port
from physlab.tools.types import Array, File

Format = Literal["mp4", "webm", "gif"]
_PLAYABLE = "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
_VIDEO = ("-vf", _PLAYABLE, "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-c:v")
ENCODERS: dict[str, tuple[str, ...]] = {
    "mp4": (*_VIDEO, "libx264", "-preset", "veryfast", "-crf", "18", "-movflags", "+faststart"),
    "webm": (*_VIDEO, "libvpx-vp9", "-crf", "28", "-b:v", "0", "-deadline", "good", "-cpu-used", "6"),
    "gif": ("-filter_complex", "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1", "-loop", "0"),
}
SHEET, SHEET_COLUMNS, SHEET_PX = 6, 3, 1500  # stills on a contact sheet, in a row, and its width [pixels]
MEDIA_TYPES = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif"}

ANIMATION_PORTS = (
    Port("animation_path", "animation", description="The film."),
    Port("mp4_path", "animation", description="The same film, when it is an MP4."),
)


def write_movie(
    path: Path, frames: Iterable[Array], *, size: tuple[int, int], fps: float = 24, format: Format = "mp4"
) -> int:
    """Encode frames; the same frames give the same bytes.

    Args:
        path: File to write.
        frames: Arrays of uint8 RGBA, each of shape (height, width, 4); each is read before the next is asked for.
        size: Width and height [pixels].
        fps: Frames per second, > 0.
        format: `mp4` (H.264), `webm` (VP9) or `gif`.

    Returns:
        How many frames were written.

    Raises:
        ComputationError: A frame has another shape, there is no frame, or ffmpeg failed (with its last words).
        ConfigurationError: No ffmpeg can be found.
    """
    written = 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(_command(path, size, fps, format), stdin=subprocess.PIPE, stderr=said)
        try:
            written = _feed(process.stdin, frames, size)
            process.wait()
        finally:
            if process.poll() is None:  # a frame could not be made: nobody needs the film
                process.kill()
                process.wait()
                path.unlink(missing_ok=True)
        said.seek(0)
        words = said.read().decode(errors="replace").strip()
    if process.returncode or not written:
        path.unlink(missing_ok=True)
        reason = words[-2000:] or (f"exit status {process.returncode}" if written else "there was no frame")
        raise ComputationError(
            f"ffmpeg could not write {path.name} ({size[0]}x{size[1]} pixels, {fps:g} frames/s): {reason}",
            hint="Try another format (mp4, webm, gif) or a smaller figure.",
        )
    return written


def _command(path: Path, size: tuple[int, int], fps: float, format: Format) -> list[str]:
    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise ConfigurationError(
            f"No ffmpeg was found: {error}", hint="Install ffmpeg, or set IMAGEIO_FFMPEG_EXE to its path."
        ) from error
    raw = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "pipe:0"]
    same_bytes = ["-threads", "1", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    quiet = ["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
    return [program, *quiet, *raw, "-an", *ENCODERS[format], *same_bytes, "-f", format, str(path)]


def _feed(pipe: Any, frames: Iterable[Array], size: tuple[int, int]) -> int:
    """Write frames into a pipe and close it; stop when the reader is gone."""
    written, shape = 0, (size[1], size[0], 4)
    with suppress(BrokenPipeError), pipe:
        for frame in frames:
            if frame.shape != shape or frame.dtype != np.uint8:
                raise ComputationError(
                    f"Frame {written} is {frame.dtype} {frame.shape}.", hint=f"Frames of this film are uint8 {shape}."
                )
            pipe.write(np.ascontiguousarray(frame).data)
            written += 1
    return written


def save_movie(
    context: Context,
    frames: Iterable[Array],
    name: str,
    caption: str,
    *,
    size: tuple[int, int],
    count: int,
    fps: float = 24,
    format: Format = "mp4",
) -> dict[str, File]:
    """Encode frames and hand the film over, with a contact sheet for paper.

    Args:
        context: The call that draws.
        frames: See `write_movie`.
        name: File name without extension.
        caption: One sentence made from the parameters.
        size: Width and height [pixels].
        count: How many frames there will be.
        fps: Frames per second.
        format: `mp4`, `webm` or `gif`.

    Returns:
        The reply field `animation_path`, and `mp4_path` for an MP4.
    """
    path = context.workdir / f"{name}.{format}"
    kept: list[Array] = []
    write_movie(path, _keep(frames, count, kept), size=size, fps=fps, format=format)
    context.save(_contact_sheet(kept), f"{name}_sheet.png", role="thumbnail")
    file = context.save(
        path, path.name, role="animation", caption=caption, field="animation_path", media_type=MEDIA_TYPES[format]
    )
    return {"animation_path": file, "mp4_path": file} if format == "mp4" else {"animation_path": file}


def _keep(frames: Iterable[Array], count: int, kept: list[Array]) -> Iterator[Array]:
    """Pass frames on, keeping the few that the contact sheet shows."""
    wanted = {round(index * count / SHEET) for index in range(SHEET)}
    for index, frame in enumerate(frames):
        if index in wanted:
            kept.append(np.array(frame[:, :, :3]))
        yield frame


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

    def frames(self, count: int, update: Callable[[int], Sequence[Any] | None]) -> Iterator[Array]:
        """Yield frames.

        Args:
            count: How many.
            update: Moves the artists to frame i; may return new artists that take the place of the old.
        """
        for index in range(count):
            fresh = update(index)
            if fresh is not None:
                self.artists = list(fresh)
            yield self.frame()
