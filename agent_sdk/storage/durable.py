"""Files that are on the disk, and not only on their way to it."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Return when the file is on the disk, or in a directory's case the names in it."""
    if os.name != "posix" and path.is_dir():
        return  # elsewhere a directory cannot be opened
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
