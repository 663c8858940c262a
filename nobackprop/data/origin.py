"""Where the files of a data set come from: a folder that the user names, the cache, or the network."""
from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from ..errors import InputError
from ..files import Stream

# the largest of the files has 250 MB, and the archives hold JPEG files or images, which hardly pack
LARGEST = 2**29  # bytes of a download and of what an archive unpacks to
PATIENCE = 60.0  # seconds before a slow download is given up
SLOWEST = 2**15  # bytes a second on average, with which the largest file comes in five hours


@dataclass(frozen=True)
class Origin:
    """What a data set's files are called, in which folders they usually lie, and who publishes them."""

    name: str
    files: tuple[str, ...]  # that must all lie in one folder
    folders: tuple[str, ...]  # inside a data folder
    url: str
    downloads: Mapping[str, str]  # what to fetch from there, with checksums in pooch's notation
    spellings: Callable[[str], tuple[str, ...]] = lambda file: (file,)  # what each may be called, the best first

    def folders_in(self, data_dir: str | os.PathLike[str]) -> list[Path]:
        """Where the files may lie: in folders of their own first, as data sets share file names."""
        root = Path(os.path.expanduser(data_dir))
        return [*(root / folder for folder in self.folders), root]

    def complete(self, folders: Iterable[Path]) -> list[Path] | None:
        """The paths of the files in the first folder that has them all."""
        for folder in folders:
            found = [path for file in self.files if (path := self._spelled(folder / file)) is not None]
            if len(found) == len(self.files):
                return found
        return None

    def _spelled(self, path: Path) -> Path | None:
        """The file of that name, or of another spelling of it, in capitals or not."""
        spellings = self.spellings(path.name)
        exact = [path.with_name(name) for name in spellings if os.path.isfile(path.with_name(name))]
        if exact:
            return exact[0]
        try:
            there = {place.name.casefold(): place for place in sorted(path.parent.iterdir()) if os.path.isfile(place)}
        except (OSError, ValueError):  # no such folder, or one that may not be read
            return None
        return next((there[name.casefold()] for name in spellings if name.casefold() in there), None)


def find(origin: Origin, data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> list[Path]:
    """The paths of a data set's files: in data_dir if given, else in NOBACKPROP_DATA, the cache or the network.

    Raises InputError where they are not there or cannot be fetched.
    """
    # a folder that was asked for by name must not be passed over for another one
    if data_dir is not None:
        folders = origin.folders_in(data_dir)
        found = origin.complete(folders)
        if found is None:
            either = ", each plain or with .gz" if f"{origin.files[0]}.gz" in origin.spellings(origin.files[0]) else ""
            raise InputError(f"no {origin.name} in {_listed(folders)}: expected {', '.join(origin.files)}{either}")
        return found
    import pooch  # slow to import, and needed only from here on

    variable, cache = os.environ.get("NOBACKPROP_DATA"), pooch.os_cache("nobackprop") / origin.name
    folders = origin.folders_in(variable) if variable else []
    found = origin.complete(folders)
    if found is not None:
        return found
    if download:
        _fetch(origin, cache)
    found = origin.complete(origin.folders_in(cache))
    if found is None:
        if download:
            raise InputError(f"{origin.url} does not give {origin.name} whole: expected {', '.join(origin.files)}")
        raise InputError(
            f"no {origin.name} in {_listed([*folders, cache])}: name the folder of its files with "
            "--data-dir DIR or NOBACKPROP_DATA, or fetch them with --download"
        )
    return found


def _listed(folders: list[Path]) -> str:
    return " or ".join(str(folder) for folder in folders)


def _fetch(origin: Origin, cache: Path) -> None:
    """Download what is missing in the cache or damaged there, and unpack archives that are not unpacked."""
    import pooch

    store = pooch.create(path=cache, base_url=origin.url, registry=dict(origin.downloads))
    for file, checksum in origin.downloads.items():
        packed = file.endswith((".tar.gz", ".zip"))
        # an archive has done its work where its files are: there is no need to read it again
        if packed and origin.complete(origin.folders_in(cache)) is not None:
            continue
        try:
            there = cache / file
            if there.is_file() and there.stat().st_size > LARGEST:
                there.unlink()  # damaged: it would be read to its end for its checksum
            archive = store.fetch(file, downloader=_watched)
            if packed:
                _unpack(Path(archive), cache)
        except InputError:
            raise
        except OSError as error:
            raise InputError(
                f"cannot download {origin.url}{file} to {cache} ({_reason(error)}): try again, or name a folder "
                "that has the files with --data-dir DIR"
            ) from error
        except ValueError as error:
            raise InputError(
                f"{origin.url}{file} is not the file it should be: expected the checksum {checksum}"
            ) from error


def _reason(error: OSError) -> str:
    """Why a download failed, in a few words."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"{response.status_code} {response.reason}"
    return error.strerror or type(error).__name__


def _slow(came: int, waited: float) -> bool:
    """Whether a download of so many bytes in so many seconds is given up."""
    return waited > PATIENCE and came < SLOWEST * waited


class _TooLarge(Exception):
    pass


def _watched(url: str, path: str, store: object) -> None:
    """Download to a file; pooch calls it, with itself as the last argument.

    Raises InputError for more than LARGEST bytes, and after PATIENCE seconds for fewer than SLOWEST bytes a second.
    """
    import requests
    from tqdm import tqdm

    came, raised = 0, []

    def work(file: BinaryIO) -> None:
        nonlocal came
        quiet = sys.stderr is None or not sys.stderr.isatty()
        try:
            with requests.get(url, stream=True, timeout=PATIENCE) as response:
                response.raise_for_status()
                total = int(response.headers.get("content-length", 0)) or None
                with tqdm(total=total, unit="B", unit_scale=True, disable=quiet) as bar:
                    for chunk in response.iter_content(2**10):
                        came += file.write(chunk)
                        if came > LARGEST:
                            raise _TooLarge
                        bar.update(len(chunk))
        except Exception as error:
            raised.append(error)

    with open(path, "wb") as opened:
        # a thread of its own, as a server can hold up every step of a download: to connect, to begin, to go on;
        # if it is left to itself, it ends when it has something to write to the closed file
        thread, begun = threading.Thread(target=work, args=(opened,), daemon=True), time.monotonic()
        thread.start()
        while thread.is_alive():
            thread.join(PATIENCE / 8)
            waited = time.monotonic() - begun
            if thread.is_alive() and _slow(came, waited):
                raise InputError(f"{url} comes too slowly: {came} bytes in {waited:.1f} seconds, expected {SLOWEST} "
                                 "a second; try again later")
    if raised and isinstance(raised[0], _TooLarge):
        raise InputError(f"{url} does not end, expected at most {LARGEST} bytes")
    if raised:
        raise raised[0]


class _Bounded(io.RawIOBase):
    """A stream to read from that refuses to give more than LARGEST bytes."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.left = stream, LARGEST

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        raw = self.stream.read(size)
        self.left -= len(raw)
        if self.left < 0:
            raise _TooLarge
        return raw


def _unpack(archive: Path, cache: Path) -> None:
    """Put the files of an archive, .tar.gz or .zip, beside it, each of its folders wholly or not at all.

    Raises InputError for an archive that is damaged, holds more than LARGEST bytes, or holds anything but files and
    folders that lie inside it.
    """
    with tempfile.TemporaryDirectory(dir=cache) as partial:
        try:
            for name, stream in (_zipped if archive.suffix == ".zip" else _tarred)(archive):
                place = Path(partial, *_inside(archive, name))
                place.parent.mkdir(parents=True, exist_ok=True)
                with open(place, "wb") as file:
                    shutil.copyfileobj(stream, file)
        except InputError:
            raise
        except _TooLarge:
            raise InputError(f"{archive} unpacks to more than {LARGEST} bytes, expected fewer") from None
        except Exception as error:
            # a full disc, say, which is not the archive's fault
            if isinstance(error, OSError) and error.errno is not None:
                raise
            kind = ".zip file" if archive.suffix == ".zip" else ".tar.gz file"
            raise InputError(f"{archive} is damaged or no archive ({error}), expected a whole {kind}") from error
        for came in Path(partial).iterdir():
            there = cache / came.name
            if there.is_dir():
                shutil.rmtree(there)
            os.replace(came, there)


def _tarred(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and contents of every file in a .tar.gz file."""
    with gzip.open(archive) as unpacked, tarfile.open(fileobj=_Bounded(unpacked), mode="r|") as tar:
        for member in tar:
            # a sparse file may claim to be as large as it likes
            stream = tar.extractfile(member) if member.isreg() and not member.issparse() else None
            if stream is not None:
                yield member.name, stream
            elif not member.isdir():
                raise _foreign(archive, member.name, "a link, a device or a sparse file")


def _zipped(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and contents of every file in a .zip file."""
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        if sum(member.file_size for member in members) > LARGEST:
            raise _TooLarge
        for member in members:
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _foreign(archive, member.filename, "a link")
            if not member.is_dir():
                with packed.open(member) as stream:
                    yield member.filename, stream


def _inside(archive: Path, name: str) -> tuple[str, ...]:
    """The folders and the file of a member's name, which may not lead out of where it is unpacked."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/") or any(sign in name for sign in "\\:\0"):
        raise _foreign(archive, name, "a way out of its folder")
    return parts


def _foreign(archive: Path, name: str, what: str) -> InputError:
    return InputError(f"{archive} holds '{name}', {what}: expected files and folders inside it alone")
