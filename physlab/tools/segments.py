"""Films in closed segments: raw pixels down a pipe to ffmpeg, a segment of fixed length at a time, joined as they are.

A segment starts anew and needs nothing of its neighbours. So it has the same bytes wherever it was encoded, and a film
has the same bytes whoever encoded its segments.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from physlab.errors import ComputationError, ConfigurationError
from physlab.tools.types import Array

Format = Literal["mp4", "webm", "gif"]
SEGMENT = 40
"""Frames of a segment; the last one of a film may be shorter."""
_PLAYABLE = "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
_VIDEO = ("-vf", _PLAYABLE, "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-c:v")
_PALETTES = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
ENCODERS: dict[str, tuple[str, ...]] = {
    "mp4": (*_VIDEO, "libx264", "-preset", "veryfast", "-crf", "18"),
    "webm": (*_VIDEO, "libvpx-vp9", "-crf", "28", "-b:v", "0", "-deadline", "good", "-cpu-used", "6"),
    "gif": ("-filter_complex", _PALETTES, "-global_palette", "0", "-loop", "0"),  # each frame brings its own palette
}
_FRONT = {"mp4": ("-movflags", "+faststart")}
_SAME_BYTES = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact")
_GIF_HEAD = 13
_GIF_LOOP = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_GIF_END = b";"


def encode(path: Path, frames: Iterable[Array], *, size: tuple[int, int], fps: float, format: Format) -> int:
    """Encode one segment; the same frames give the same bytes.

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
    raw = ("-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "pipe:0")
    command = _command(*raw, "-an", *ENCODERS[format], "-threads", "1", *_SAME_BYTES, "-f", format, str(path))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)
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


def join(path: Path, segments: Sequence[Path], format: Format) -> None:
    """Join segments into a film without encoding anything again.

    Args:
        path: File to write.
        segments: What `encode` wrote, in order.
        format: Their format.

    Raises:
        ComputationError: They do not fit together, or ffmpeg failed.
        ConfigurationError: No ffmpeg can be found.
    """
    if format == "gif":
        return _join_gifs(path, segments)
    listed = path.with_name(f"{path.name}.segments")
    listed.write_text("".join(f"file '{_quoted(segment)}'\n" for segment in segments))
    given = ("-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy")
    command = _command(*given, *_FRONT.get(format, ()), *_SAME_BYTES, "-f", format, str(path))
    done = subprocess.run(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    listed.unlink()
    if done.returncode:
        path.unlink(missing_ok=True)
        said = done.stderr.decode(errors="replace").strip()[-2000:]
        raise ComputationError(f"ffmpeg could not join the segments of {path.name}: {said}", hint="Run again.")


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("'", r"'\''")


def _join_gifs(path: Path, segments: Sequence[Path]) -> None:
    """Put the frames of GIFs one behind the other (ffmpeg would leave an end mark after each segment)."""
    with open(path, "wb") as film:
        for number, segment in enumerate(segments):
            data = segment.read_bytes()
            head = data[:_GIF_HEAD] + _GIF_LOOP
            if not data.startswith(head) or not data.endswith(_GIF_END) or data[10] & 0x80:  # a palette for all
                raise ComputationError(f"Segment {number} of {path.name} is no GIF of ours.", hint="Run again.")
            film.write(data[len(head) if number else 0 : -len(_GIF_END)])
        film.write(_GIF_END)


def _command(*arguments: str) -> list[str]:
    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise ConfigurationError(
            f"No ffmpeg was found: {error}", hint="Install ffmpeg, or set IMAGEIO_FFMPEG_EXE to its path."
        ) from error
    return [program, "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments]


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
