"""The lab notebook: entries with revisions, remarks and signatures, chained so that nothing can be cut or changed."""

from physlab.notebook.book import Book, notebooks, open_book
from physlab.notebook.signatures import sign_entry
from physlab.notebook.writing import Draft, remark, revise, write

__all__ = ["Book", "Draft", "notebooks", "open_book", "remark", "revise", "sign_entry", "write"]
