"""Files that belong to somebody: written for their owner, and why one cannot be used."""

import os
from contextlib import suppress
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Replace a file, or make one for its owner alone; after a crash it is the old or the new one."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        take_after(fresh, file)
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
    if os.name == "posix":
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def take_after(fresh: Path, old: Path) -> None:
    """Give a file the owner and the mode of the one that it is about to replace, if there is one."""
    try:
        like = old.stat()
    except FileNotFoundError:
        give_to_owner(fresh)
        return
    _give(fresh, like)
    fresh.chmod(like.st_mode & 0o777)


def give_to_owner(file: Path) -> None:
    """A file that root has made belongs to whom its folder does: the service, as another user, needs it."""
    _give(file, file.parent.stat())


def _give(file: Path, like: os.stat_result) -> None:
    if os.name == "posix" and os.geteuid() == 0:
        with suppress(PermissionError):  # of root on another machine's disk, or in a container: as before
            os.chown(file, like.st_uid, like.st_gid)


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
