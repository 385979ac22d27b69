"""Bundles: a graph with its runs, files, paper and notebook as one signed file, which a fresh lab opens.

    manifest.json            what is inside: SHA-256 and size of every other file, runs, who made it, when
    manifest.json.minisig    the lab's signature of that
    lab.pub                  the key that signed
    README.txt, index.html   for people without physlab
    records.jsonl            the ledger's records, a line each
    notebook.jsonl           entries of the notebook that speak of the runs, with remarks and signatures
    reports/RUN.pdf          papers
    blobs/ab/cdef…           every file under its SHA-256

It is a zip file in which nothing is compressed and every date is the same: the same content gives the same bytes
everywhere.
"""

from physlab.bundle.archive import Limits
from physlab.bundle.choosing import Chosen, Wanted, choose
from physlab.bundle.manifest import Manifest
from physlab.bundle.opening import Checked, Opened, check_bundle, open_bundle, read_bundle
from physlab.bundle.writing import Made, Paper, write_bundle

__all__ = [
    "Checked",
    "Chosen",
    "Limits",
    "Made",
    "Manifest",
    "Opened",
    "Paper",
    "Wanted",
    "check_bundle",
    "choose",
    "open_bundle",
    "read_bundle",
    "write_bundle",
]
