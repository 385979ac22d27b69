"""Where bytes can be kept: a folder, a bucket, a machine that is reached over SFTP. One file each."""

from physlab.transfer.places.base import Place
from physlab.transfer.places.kinds import open_place

__all__ = ["Place", "open_place"]
