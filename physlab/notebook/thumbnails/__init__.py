"""Small pictures of attachments, and a line of words on what each one is."""

from physlab.notebook.thumbnails.sheet import contact_sheets
from physlab.notebook.thumbnails.show import look_at
from physlab.notebook.thumbnails.thumbnail import Thumbnail

__all__ = ["Thumbnail", "contact_sheets", "look_at"]
