"""Files that belong to somebody: why one cannot be used."""

import os
from pathlib import Path


def why(error: Exception) -> str:
    """What went wrong with a file, and whose it is when that may be the reason: often the service runs as
    another user than the command."""
    if not isinstance(error, OSError) or error.filename is None:
        return str(error)
    file = Path(os.fsdecode(error.filename))
    if not isinstance(error, PermissionError) or os.name != "posix":
        return f"{file}: {error.strerror}"
    place, owner = _owner(file)
    whose = f"{'it' if place == file else place} belongs to {_name(owner)}"
    if owner == os.geteuid():
        return f"{file}: {error.strerror}, although {whose}: look at its mode"
    return (
        f"{file}: {error.strerror}: {whose}, and this runs as {_name(os.geteuid())}. "
        f"Run it as {_name(owner)}, or give it the right"
    )


def _owner(file: Path) -> tuple[Path, int]:
    """The file, or the nearest folder above it that can be seen, and the user to whom it belongs."""
    for place in (file, *file.absolute().parents):
        try:
            return place, place.stat().st_uid
        except OSError:
            continue
    raise AssertionError("everybody can see the root of the file system")


def _name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
