"""Films: what ffmpeg says comes through, the bytes repeat, nothing is left running."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from PIL import Image

from physlab.errors import ComputationError, ConfigurationError
from physlab.tools.figures import drawing, heat_map
from physlab.tools.movie import Blitter, repaint
from physlab.tools.segments import encode, join

WIDTH, HEIGHT = 64, 48


def frames(count, width=WIDTH, height=HEIGHT):
    for index in range(count):
        frame = np.full((height, width, 4), 255, dtype=np.uint8)
        frame[:, : (index + 1) * width // count, :3] = (200, 40, 10)
        yield frame


def read(path, width=WIDTH, height=HEIGHT):
    """Return the frames of a film as ffmpeg decodes them, (frames, height, width, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(path), "-pix_fmt", "rgb24"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize("format", ["mp4", "webm", "gif"])
def test_frames_come_back(tmp_path, format):
    path = tmp_path / f"film.{format}"
    assert encode(path, frames(8), size=(WIDTH, HEIGHT), fps=10, format=format) == 8
    film = read(path)
    assert film.shape == (8, HEIGHT, WIDTH, 3)
    assert np.abs(film[3, 20, 8].astype(int) - (200, 40, 10)).max() < 16  # colours survive the way to yuv and back
    assert film[0, 20, 60].min() > 245


@pytest.mark.parametrize("format", ["mp4", "webm", "gif"])
def test_the_same_frames_have_the_same_bytes(tmp_path, format):
    for name in ("a", "b"):
        encode(tmp_path / name, frames(5), size=(WIDTH, HEIGHT), fps=24, format=format)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("format", ["mp4", "webm", "gif"])
def test_joined_segments_are_one_film(tmp_path, format):
    every, path = list(frames(9)), tmp_path / f"it's joined.{format}"
    segments = [tmp_path / f"it's {number}.{format}" for number in range(3)]
    for number, segment in enumerate(segments):
        encode(segment, every[3 * number : 3 * number + 3], size=(WIDTH, HEIGHT), fps=10, format=format)
    join(path, segments, format)
    assert (read(path) == np.concatenate([read(segment) for segment in segments])).all()
    assert times(path) == [round(0.1 * index, 3) for index in range(9)]
    assert not path.with_name(f"{path.name}.segments").exists()
    if format == "gif":  # ffmpeg reads on behind an end mark that stops others
        with Image.open(path) as film:
            film.seek(8)
            assert (np.asarray(film.convert("RGB")) == read(path)[8]).all() and film.n_frames == 9


def times(path):
    """Return when each frame is shown [s]."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(path), "-fps_mode", "passthrough"]
    table = subprocess.run([*command, "-f", "framemd5", "-"], capture_output=True, check=True, text=True).stdout
    [tick] = [line.split(": ")[1] for line in table.splitlines() if line.startswith("#tb")]
    up, down = map(int, tick.split("/"))
    return [round(int(line.split(",")[2]) * up / down, 3) for line in table.splitlines() if line[0] != "#"]


def test_what_is_no_segment_is_not_joined(tmp_path):
    (tmp_path / "a").write_bytes(b"no film")
    for kind, said in (("mp4", "could not join"), ("gif", "no GIF of ours")):
        with pytest.raises(ComputationError, match=said):
            join(tmp_path / "film", [tmp_path / "a"], kind)


def test_an_mp4_plays_in_a_browser(tmp_path):
    path = tmp_path / "film.mp4"
    encode(tmp_path / "segment.mp4", frames(4), size=(WIDTH, HEIGHT), fps=24, format="mp4")
    join(path, [tmp_path / "segment.mp4"], "mp4")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # the index is in front: it starts before it is loaded
    said = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True).stderr
    assert "h264" in said and "yuv420p" in said and "bt709" in said and "creation_time" not in said


def test_odd_sizes_are_padded(tmp_path):
    encode(tmp_path / "film.mp4", frames(3, 33, 21), size=(33, 21), fps=24, format="mp4")
    assert read(tmp_path / "film.mp4", 34, 22).shape == (3, 22, 34, 3)


def test_what_ffmpeg_says_is_in_the_error(tmp_path):
    with pytest.raises(ComputationError, match="No such file or directory"):
        encode(tmp_path / "missing" / "film.mp4", frames(300, 640, 480), size=(640, 480), fps=24, format="mp4")


def test_no_frame_is_an_error(tmp_path):
    with pytest.raises(ComputationError, match="could not write"):
        encode(tmp_path / "film.mp4", iter(()), size=(WIDTH, HEIGHT), fps=24, format="mp4")
    assert not (tmp_path / "film.mp4").exists()


def test_a_frame_of_another_size_is_refused(tmp_path):
    with pytest.raises(ComputationError, match="Frame 0 is uint8"):
        encode(tmp_path / "film.mp4", frames(3), size=(WIDTH, HEIGHT + 2), fps=24, format="mp4")


def test_a_failing_frame_leaves_neither_process_nor_file(tmp_path):
    def broken():
        yield from frames(2)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        encode(tmp_path / "film.mp4", broken(), size=(WIDTH, HEIGHT), fps=24, format="mp4")
    assert list(tmp_path.iterdir()) == []
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def test_a_missing_ffmpeg_is_a_matter_of_the_set_up(tmp_path, monkeypatch):
    def missing():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(ConfigurationError, match="Install ffmpeg"):
        encode(tmp_path / "film.mp4", frames(1), size=(WIDTH, HEIGHT), fps=24, format="mp4")


class TestBlitter:
    def test_only_what_moves_is_drawn_again_and_nothing_stays_behind(self):
        x = np.linspace(0, 1, 20)
        with drawing(3, 2, 50) as figure:
            axes = figure.add_subplot()
            (line,) = axes.plot(x, x)
            blitter = Blitter(figure, [line])
            shots = [shot.copy() for shot in blitter.frames(2, lambda i: line.set_ydata(x if i == 0 else 1 - x))]
            line.set_ydata(x)
            again = blitter.frame()
        assert (blitter.size[1], blitter.size[0], 4) == shots[0].shape
        assert (shots[0] != shots[1]).any()
        assert (again == shots[0]).all()

    @pytest.mark.parametrize("places", [np.arange(4.0), np.array([0.0, 1.0, 3.0, 7.0])])
    def test_a_repainted_map_is_the_map_drawn_anew(self, places):
        first, second = np.zeros((4, 4)), np.arange(16.0).reshape(4, 4)

        def shot(values, repainted=None):
            with drawing(2, 2, 50) as figure:
                axes = figure.add_subplot()
                image = heat_map(axes, places, places, values, scale=second)
                if hasattr(image, "set_interpolation"):
                    image.set_interpolation("nearest")
                blitter = Blitter(figure, [image])
                if repainted is not None:
                    repaint(image, repainted)
                return blitter.frame().copy()

        assert (shot(first, repainted=second) == shot(second)).all()

    def test_new_artists_take_the_place_of_old_ones(self):
        with drawing(2, 2, 50) as figure:
            axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1))
            texts = [axes.text(0.2, 0.5, word) for word in ("one", "two")]
            blitter = Blitter(figure, texts)
            one, two = (shot.copy() for shot in blitter.frames(2, lambda i: [texts[i]]))
        assert (one != two).any()
