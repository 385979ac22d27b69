"""Films: what ffmpeg says comes through, the bytes repeat, nothing is left running."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import psutil
import pytest

from physlab.errors import ComputationError, ConfigurationError
from physlab.tools.figures import drawing, heat_map
from physlab.tools.movie import Blitter, repaint, write_movie

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
    assert write_movie(path, frames(8), size=(WIDTH, HEIGHT), fps=10, format=format) == 8
    film = read(path)
    assert film.shape == (8, HEIGHT, WIDTH, 3)
    assert np.abs(film[3, 20, 8].astype(int) - (200, 40, 10)).max() < 16  # colours survive the way to yuv and back
    assert film[0, 20, 60].min() > 245


@pytest.mark.parametrize("format", ["mp4", "webm", "gif"])
def test_the_same_frames_have_the_same_bytes(tmp_path, format):
    for name in ("a", "b"):
        write_movie(tmp_path / name, frames(5), size=(WIDTH, HEIGHT), format=format)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_mp4_plays_in_a_browser(tmp_path):
    path = tmp_path / "film.mp4"
    write_movie(path, frames(4), size=(WIDTH, HEIGHT))
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # the index is in front: it starts before it is loaded
    said = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True).stderr
    assert "h264" in said and "yuv420p" in said and "creation_time" not in said


def test_odd_sizes_are_padded(tmp_path):
    write_movie(tmp_path / "film.mp4", frames(3, 33, 21), size=(33, 21))
    assert read(tmp_path / "film.mp4", 34, 22).shape == (3, 22, 34, 3)


def test_what_ffmpeg_says_is_in_the_error(tmp_path):
    with pytest.raises(ComputationError, match="No such file or directory"):
        write_movie(tmp_path / "missing" / "film.mp4", frames(300, 640, 480), size=(640, 480))


def test_no_frame_is_an_error(tmp_path):
    with pytest.raises(ComputationError, match="could not write"):
        write_movie(tmp_path / "film.mp4", iter(()), size=(WIDTH, HEIGHT))
    assert not (tmp_path / "film.mp4").exists()


def test_a_frame_of_another_size_is_refused(tmp_path):
    with pytest.raises(ComputationError, match="Frame 0 is uint8"):
        write_movie(tmp_path / "film.mp4", frames(3), size=(WIDTH, HEIGHT + 2))


def test_a_failing_frame_leaves_neither_process_nor_file(tmp_path):
    def broken():
        yield from frames(2)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_movie(tmp_path / "film.mp4", broken(), size=(WIDTH, HEIGHT))
    assert list(tmp_path.iterdir()) == []
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def test_a_missing_ffmpeg_is_a_matter_of_the_set_up(tmp_path, monkeypatch):
    def missing():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(ConfigurationError, match="Install ffmpeg"):
        write_movie(tmp_path / "film.mp4", frames(1), size=(WIDTH, HEIGHT))


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
