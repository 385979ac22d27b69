"""Notebooks for other notebooks: the .eln file (RO-Crate 1.1 in a zip archive), written and read."""

from physlab.notebook.eln.exporting import export_eln
from physlab.notebook.eln.importing import Imported, import_eln

__all__ = ["Imported", "export_eln", "import_eln"]
