"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reports.errors import CannotWrite


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file beside `path`, which takes its name at the end.

    On any exception the temporary file goes and an older `path` stays as it was. Raises
    CannotWrite where the folder does not allow it or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        _to_disk(temporary)
        temporary.replace(path)
    except OSError as error:
        raise CannotWrite(
            f"{path} cannot be written ({error.strerror or error}): choose another place "
            "with --output, or make room."
        ) from error
    finally:
        with suppress(OSError):  # where nothing can be written, there is nothing to take away
            temporary.unlink()


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
