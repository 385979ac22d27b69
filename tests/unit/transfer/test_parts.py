"""What travelling is made of: chunks, codecs, packs, names, the pace."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physlab.errors import StoreError, ValidationError
from physlab.keys import canonical, digest, digest_bytes
from physlab.settings import read_rate
from physlab.transfer.checking import Share, read_share
from physlab.transfer.chunks import AVERAGE, average_for, cut
from physlab.transfer.codec import CODECS, RAW, choose, decode, encode, shuffle, unshuffle
from physlab.transfer.known import Known
from physlab.transfer.lanes import Lanes
from physlab.transfer.layout import Chunk, FileList, digits_of, path_of, read_list
from physlab.transfer.pace import Pace


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


# --- chunks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, AVERAGE // 4, 1 << 20, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 17_000_000])
def test_chunks_make_up_the_file_wherever_the_windows_end(size: int) -> None:
    from fastcdc.fastcdc_cy import fastcdc_cy

    data = random.Random(size).randbytes(size)
    chunks = list(cut(io.BytesIO(data)))
    whole = [data[one.offset : one.offset + one.length] for one in fastcdc_cy(data, AVERAGE // 4, AVERAGE, AVERAGE * 4)]
    assert b"".join(chunks) == data and chunks == (whole if data else [])


def test_an_insertion_leaves_most_chunks_as_they_were() -> None:
    data = random.Random(1).randbytes(20_000_000)
    before = set(map(digest_bytes, cut(io.BytesIO(data))))
    changed = data[:7_000_001] + b"inserted" + data[7_000_001:]
    new = [chunk for chunk in cut(io.BytesIO(changed)) if digest_bytes(chunk) not in before]
    assert 0 < sum(map(len, new)) < len(data) * 0.02


def test_the_list_of_a_huge_file_stays_short() -> None:
    assert average_for(1 << 30) == AVERAGE
    assert average_for(10 << 40) / AVERAGE == 1024
    assert (10 << 40) / average_for(10 << 40) <= 1 << 18


# --- codecs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1, 7, 8, 1000, 65_537])
def test_every_codec_gives_back_what_it_got(codec: str, size: int) -> None:
    for data in (bytes(size), random.Random(size).randbytes(size)):
        packed, used = encode(data, codec)
        assert used in (codec, RAW) and len(packed) <= len(data)
        assert decode(packed, used, size, "it") == data


def test_shuffling_sorts_bytes_by_place() -> None:
    assert shuffle(b"a1b2c3z", 2) == b"abc123z"
    assert unshuffle(b"abc123z", 2) == b"a1b2c3z"


def test_samples_choose_the_codec() -> None:
    smooth = np.sin(np.linspace(0, 60, 200_000))
    for data, codec in (
        (npy(smooth), "shuffle8+zstd"),
        (npy(smooth.astype("f4")), "shuffle4+zstd"),
        (npy(smooth + 1j * np.roll(smooth, 999)), "shuffle16+zstd"),
        (npy(smooth)[11:], "shuffle8+zstd"),  # floats of which nothing tells, as in a file of HDF5
        (b"the same words again and again, " * 50_000, "zstd"),
        (random.Random(1).randbytes(2_000_000), RAW),
        (b"", RAW),
    ):
        assert choose(lambda start, length, data=data: data[start : start + length], len(data)) == codec
    packed = sum(len(encode(chunk, "shuffle8+zstd")[0]) for chunk in cut(io.BytesIO(npy(smooth))))
    assert packed < 0.8 * smooth.nbytes


def test_a_chunk_that_would_grow_without_end_does_not() -> None:
    bomb, _ = encode(bytes(50_000_000), "zstd")
    with pytest.raises(StoreError, match="abc is damaged: 65537 bytes instead of 65536"):
        decode(bomb, "zstd", 65536, "abc")
    with pytest.raises(StoreError, match="abc is damaged"):
        decode(b"no zstd at all", "zstd", 100, "abc")


# --- names and lists -----------------------------------------------------------------------------------------------


def test_s17_only_names_of_ours_are_taken_from_a_listing() -> None:
    digits = "ab" + "0" * 62
    for folder in ("blobs", "files", "packs", "journal"):
        assert digits_of(path_of(folder, digits)) == digits
    rest = "0" * 62
    for name in ("", "blobs", f"blobs/{digits}", f"blobs/AB/{rest}", f"blobs/../{rest}", f"/blobs/ab/{rest}",
                 f"blobs/ab/{rest}.json", f"packs/ab/{rest}", f"blobs/ab/{rest[1:]}\n", f"x/blobs/ab/{rest}",
                 f"blobs\\ab\\{rest}", f"secrets/ab/{rest}", f"packs/ab/{rest}.pack/.."):  # fmt: skip
        assert digits_of(name) is None, name
    for bad in ("../../etc/passwd", "0" * 63, "G" * 64, None, 7):
        with pytest.raises(ValidationError, match="is not a SHA-256"):
            path_of("blobs", bad)  # type: ignore[arg-type]


def sealed(said: dict[str, Any]) -> bytes:
    return canonical({**said, "check": digest(said)})


def test_a_list_comes_back_and_a_forged_one_does_not() -> None:
    pack, one, two = "a" * 64, "b" * 64, "c" * 64
    chunks = (Chunk(one, 10, pack, 0, 10, RAW), Chunk(two, 5, pack, 10, 4, "zstd"), Chunk(one, 10, pack, 0, 10, RAW))
    made = FileList("d" * 64, 25, chunks)
    good = {"format": 1, "sha256": "d" * 64, "size": 25, "packs": [pack],
            "chunks": [[one, 10, 0, 0, 10, RAW], [two, 5, 0, 10, 4, "zstd"], [one, 10, 0, 0, 10, RAW]]}  # fmt: skip
    assert read_list(made.dump(), "it") == made == read_list(sealed(good), "it")
    rows = good["chunks"]
    for key, value in (
        ("size", 26), ("packs", ["../../etc/passwd"]), ("packs", []), ("sha256", "d"), ("chunks", [[one, 10]]),
        ("chunks", [[one, 10, 1, 0, 10, RAW]]), ("chunks", [[one, 10, -1, 0, 10, RAW]]), ("format", 2),
        ("chunks", [[one, 10, 0, -1, 10, RAW]]), ("chunks", [*rows[:2], [one, 10, 0, 0, 10, "pickle"]]),
        ("chunks", [[one, True, 0, 0, 10, RAW]]), ("chunks", [["..", 25, 0, 0, 10, RAW]]), ("chunks", None),
    ):  # fmt: skip
        with pytest.raises(StoreError, match=r"^it "):
            read_list(sealed({**good, key: value}), "it")
    dumped = made.dump()
    for position in range(len(dumped)):
        with pytest.raises(StoreError, match=r"^it "):
            read_list(dumped[:position] + bytes([dumped[position] ^ 1]) + dumped[position + 1 :], "it")
    for bad in (b"", b"[]", b"{}", b"\x80\x04.", b"[" * 100_000):
        with pytest.raises(StoreError, match=r"^it is damaged"):
            read_list(bad, "it")


def test_notes_forget_what_is_not_there_any_more(tmp_path: Path) -> None:
    known = Known(tmp_path / "notes.sqlite")
    one, two, three, pack, other = (letter * 64 for letter in "abcde")
    chunks = (Chunk(one, 10, pack, 0, 10, RAW), Chunk(two, 5, pack, 10, 5, RAW), Chunk(three, 9, other, 0, 9, RAW))
    known.add_list("f" * 64, FileList("0" * 64, 24, chunks))
    assert [known.find(name) for name in (one, two, three)] == list(chunks) and known.find("9" * 64) is None
    assert known.places(two) == [("0" * 64, 10)] and known.files_with(other) == {"0" * 64}
    known.keep_packs({pack: 15, other: 8})
    assert known.find(two) is not None and known.find(three) is None, "a pack that is too short is not there"
    known.forget_lists(["f" * 64])
    assert known.places(two) == [] and known.lists() == set()
    known.close()
    again = Known(tmp_path / "notes.sqlite")
    assert again.find(one) == chunks[0]
    again.close()


# --- pace ----------------------------------------------------------------------------------------------------------


def test_the_limit_is_held_to_within_five_percent() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace, choose_size = Pace(5e6, lambda: now[0], sleep), random.Random(1)
    total = 0
    while total < 100e6:
        size = choose_size.choice((100, 64 << 10, 8 << 20))
        pace.take(size)
        now[0] += 0.0002  # what the sending itself takes
        total += size
    assert 0.95 * 5e6 <= total / now[0] <= 1.05 * 5e6
    Pace(None, lambda: now[0], sleep).take(10**12)


def test_rates_and_shares_as_people_write_them() -> None:
    for text, value in (("5MB/s", 5e6), ("500 kB/s", 5e5), ("1.5 GB/s", 1.5e9), ("2000", 2000.0), ("3M", 3e6),
                        ("1 MiB/s", 2**20)):  # fmt: skip
        assert read_rate(text) == value
    for bad in ("fast", "1.2.3MB/s", "999", "-5MB/s"):
        with pytest.raises(ValueError, match="is no rate"):
            read_rate(bad)
    assert read_share("1/30") == Share(1, 30)
    for bad in ("0/3", "4/3", "1", "", "1/30/2", "-1/3"):
        with pytest.raises(ValidationError, match="is no share"):
            read_share(bad)


def test_shares_take_everything_once() -> None:
    names = [digest_bytes(str(number).encode()) for number in range(3000)]
    taken = [name for start in range(0, 30, 2) for name in names if Share(2, 30, start).takes(name)]
    assert sorted(taken) == sorted(names)
    assert 100 < sum(Share(2, 30, 4).takes(name) for name in names) < 300


def test_the_first_error_stops_what_is_under_way() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise StoreError("third", hint="")
        done.append(number)

    def work_all() -> None:
        with Lanes(2) as lanes:
            for number in range(1000):
                lanes.do(work, number)

    with pytest.raises(StoreError, match="third"):
        work_all()
    assert len(done) < 100
