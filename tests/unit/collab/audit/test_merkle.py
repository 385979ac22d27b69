"""The Merkle tree: the published roots and proofs of RFC 6962's test log, and every small log."""

from __future__ import annotations

import itertools

import pytest

from physlab.collab.audit.merkle import EMPTY, Peaks, consistency, extends, leaf, root_of
from physlab.errors import ValidationError

# The entries, roots and a proof that the reference implementation of certificate transparency tests itself with:
# https://github.com/transparency-dev/merkle, testonly/reference.go and constants.go.
ENTRIES = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def test_roots_are_those_of_the_reference() -> None:
    peaks, leaves = Peaks(), [leaf(entry) for entry in ENTRIES]
    assert peaks.root == EMPTY
    for size, root in enumerate(ROOTS, 1):
        peaks.add(leaves[size - 1])
        assert peaks.root.hex() == root
        assert root_of(leaves[:size]).hex() == root


def test_s30_every_log_is_proven_to_extend_its_beginnings_and_no_other() -> None:
    leaves = [leaf(b"%d" % number) for number in range(20)]
    roots = [root_of(leaves[:size]) for size in range(21)]
    for old, new in itertools.combinations(range(1, 21), 2):
        proof = consistency(leaves[:new], old)
        assert extends(old, roots[old], new, roots[new], proof)
        assert not extends(old, roots[old - 1], new, roots[new], proof)
        assert not extends(old, roots[old], new, roots[new - 1], proof)
        assert not extends(old, roots[old], new, roots[new], proof[:-1])
        assert not extends(old, roots[old], new, roots[new], [*proof, roots[1]])
        for place in range(len(proof)):
            other = [*proof[:place], bytes([proof[place][0] ^ 1]) + proof[place][1:], *proof[place + 1 :]]
            assert not extends(old, roots[old], new, roots[new], other)
    assert extends(5, roots[5], 5, roots[5], [])
    assert not extends(5, roots[5], 4, roots[4], [roots[1]])


def test_a_log_that_is_too_short() -> None:
    with pytest.raises(ValidationError, match="has 3 entries, not 4"):
        consistency([b"a", b"b", b"c"], 4)
