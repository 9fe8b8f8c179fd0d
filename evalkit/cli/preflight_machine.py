"""The pre-flight's look at the machine: secret key, git, database, disk."""

import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from evalkit.cli.preflight_item import Item, tried
from studies.design import Study
from studies.errors import UserError
from webapp.config import KEY_FILE, database_url, load_secret_key
from webapp.db import Database

ANSWER_BYTES = 4096
"""About what one answered trial takes in the database, with its events and indices."""
ROOM_BYTES = 500 * 1024**2
NETWORK_FILE_SYSTEMS = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "fuse.sshfs", "fuse.glusterfs",
)  # fmt: skip


def key(folder: Path) -> Item:
    """Whether the secret key is there, and for its owner only."""
    path = folder / KEY_FILE
    try:
        load_secret_key(folder)
    except UserError as error:
        return Item("secret key", "fail", str(error))
    if path.is_file() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        return Item(
            "secret key",
            "fail",
            f"{path}: others may read it (mode {mode:04o}). Run: chmod 600 {shlex.quote(str(path))}",
        )
    return Item("secret key", "ok", "there, and only its owner can read it")


def git_state(folder: Path) -> Item:
    """Whether a `git add` could take the key and people's answers along."""
    git = shutil.which("git")
    if git is None:
        return Item("git", "ok", "git is not installed")

    def asked(*arguments: str) -> int:
        return subprocess.run(
            [git, "-C", str(folder), *arguments], capture_output=True, check=False
        ).returncode

    if asked("rev-parse", "--is-inside-work-tree") != 0:
        return Item("git", "ok", "the study folder is in no git work tree")
    if asked("ls-files", "--error-unmatch", KEY_FILE) == 0:
        return Item(
            "git",
            "fail",
            f"{folder / KEY_FILE} is tracked by git: whoever has the repository can find out who took part. Remove it from the "
            "repository and its history, and make a new key before anyone takes part.",
        )
    missing = [name for name in (KEY_FILE, "study.sqlite") if asked("check-ignore", "-q", name) != 0]
    if missing:
        return Item(
            "git",
            "warn",
            f"the study folder lies in a git work tree that does not ignore {' and '.join(missing)}. Add the folder to "
            ".gitignore, or move it.",
        )
    return Item("git", "ok", "in a git work tree that ignores the key and the database")


def database(folder: Path) -> Iterator[Item]:
    """Whether the database answers, and whether its locks hold where it lies."""

    def reach() -> str:
        reached = Database(database_url(folder))
        try:
            reached.upgrade()
            with reached.write():
                pass
        finally:
            reached.close()
        return "PostgreSQL answers" if "postgresql" in reached.url else "SQLite in the study folder"

    item = tried("database", reach)
    yield item
    if item.state == "ok" and "SQLite" in item.text and (kind := file_system(folder)) in NETWORK_FILE_SYSTEMS:
        yield Item(
            "database",
            "warn",
            f"SQLite on a network file system ({kind}) can lose answers, since its locks do not hold there. Put the study on a "
            "local disk, or set EVALKIT_DATABASE_URL to a PostgreSQL.",
        )


def file_system(folder: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Kind of the file system that a folder lies on; empty where the system does not tell."""
    if not mounts.is_file():
        return ""
    place, best, kind = str(folder.resolve()), "", ""
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, at, found, *_ = line.split(" ")
        at = at.replace("\\040", " ")
        if (place == at or place.startswith(at.rstrip("/") + "/")) and len(at) >= len(best):
            best, kind = at, found
    return kind


def disk(folder: Path, study: Study) -> Item:
    """Whether there is room for all answers."""
    free = shutil.disk_usage(folder).free
    needed = ROOM_BYTES + study.sessions_planned * study.protocol.total * ANSWER_BYTES
    text = f"{free / 1024**3:.1f} GiB free, about {needed / 1024**3:.1f} GiB advised"
    if free < needed:
        return Item("disk", "fail", f"{text}: a full disk refuses answers. Make room.")
    return Item("disk", "ok", text)
