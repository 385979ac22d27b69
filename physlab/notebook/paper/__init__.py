"""A notebook on paper: PDF/A-3 that holds what it shows, sealed by the lab that printed it."""

from physlab.notebook.paper.certificate import Certificate, lab_certificate
from physlab.notebook.paper.exhibits import Room
from physlab.notebook.paper.printing import Paper, print_entry, print_notebook
from physlab.notebook.paper.seal import Sealed, check_seal, seal

__all__ = [
    "Certificate", "Paper", "Room", "Sealed", "check_seal", "lab_certificate", "print_entry", "print_notebook", "seal",
]  # fmt: skip
