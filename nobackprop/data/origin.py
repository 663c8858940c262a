"""Finds the files of a data set: in a folder that the user names, in the cache, or on the network."""
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
from ..files import Stream, named
from .dataset import flag

# the largest file has 250 MB; an archive unpacks to little more than its size, because images hardly pack
LARGEST = 2**29  # bytes that a download may have, and that an archive may unpack to
PATIENCE = 60.0  # seconds after which a slow download is given up
SLOWEST = 2**15  # bytes a second that are expected on average


@dataclass(frozen=True)
class Origin:
    """The names of a data set's files, the folders in which they usually lie, and their publisher.

    Parameters
    ----------
    name : str
        The name of the data set.
    files : tuple of str
        The names of the files.  All of them must lie in one folder.
    folders : tuple of str
        The folders inside a data folder in which the files usually lie.
    url : str
        The address of the publisher.
    downloads : mapping of str to str
        The names of the files to download from there, with their checksums in the notation of pooch.
    spellings : callable, optional
        `spellings(file)` gives the names that a file may have, the preferred one first.

    Examples
    --------
    >>> from nobackprop.data.origin import Origin
    >>> mine = Origin("mine", ("a.bin", "b.bin"), ("mine",), "https://example.org/", {})
    >>> mine.spellings("a.bin")
    ('a.bin',)
    """

    name: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    url: str
    downloads: Mapping[str, str]
    spellings: Callable[[str], tuple[str, ...]] = lambda file: (file,)

    def folders_in(self, data_dir: str | os.PathLike[str]) -> list[Path]:
        """Return the folders in which the files may lie, the most likely one first.

        The data folder itself comes last, because several data sets may have files of the same names there.

        Parameters
        ----------
        data_dir : path
            The data folder; a leading ~ is the user's home.

        Returns
        -------
        list of Path
            The folders; none of them needs to exist.

        Examples
        --------
        >>> from nobackprop.data.origin import Origin
        >>> mine = Origin("mine", ("a.bin",), ("mine",), "https://example.org/", {})
        >>> [folder.as_posix() for folder in mine.folders_in("data")]
        ['data/mine', 'data']
        """
        # Path.expanduser raises an exception if it does not know the user, as in ~nobody/data
        root = Path(os.path.expanduser(named(data_dir)))  # noqa: PTH111
        return [*(root / folder for folder in self.folders), root]

    def complete(self, folders: Iterable[Path]) -> list[Path] | None:
        """Return the paths of the files in the first folder that has all of them.

        Parameters
        ----------
        folders : iterable of Path
            The folders to look into.

        Returns
        -------
        list of Path or None
            The paths, in the order of `files`.  None if no folder has all files.

        Examples
        --------
        >>> from pathlib import Path
        >>> from nobackprop.data.origin import Origin
        >>> Origin("mine", ("a.bin",), (), "https://example.org/", {}).complete([Path("no-such-folder")]) is None
        True
        """
        for folder in folders:
            found = [path for file in self.files if (path := self._spelled(folder / file)) is not None]
            if len(found) == len(self.files):
                return found
        return None

    def _spelled(self, path: Path) -> Path | None:
        """The file of that name or of another spelling, in capitals or not; None if there is none."""
        spellings = self.spellings(path.name)
        # os.path.isfile says False of a file in a folder that may not be read; Path.is_file raises an exception
        exact = [path.with_name(name) for name in spellings if os.path.isfile(path.with_name(name))]  # noqa: PTH113
        if exact:
            return exact[0]
        try:
            there = {place.name.casefold(): place for place in sorted(path.parent.iterdir())
                     if os.path.isfile(place)}  # noqa: PTH113
        except (OSError, ValueError):  # no such folder, or one that may not be read
            return None
        return next((there[name.casefold()] for name in spellings if name.casefold() in there), None)


def find(origin: Origin, data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> list[Path]:
    """Find the files of a data set, and download them if that is allowed and necessary.

    If data_dir is given, only that folder is searched.  Otherwise the folder in the environment variable
    NOBACKPROP_DATA is searched, and then the cache.

    Parameters
    ----------
    origin : Origin
        The names of the files, and their publisher.
    data_dir : path, optional
        The data folder.
    download : bool, optional
        Whether missing files may be fetched from their publisher into the cache.

    Returns
    -------
    list of Path
        The paths, in the order of `origin.files`.

    Raises
    ------
    InputError
        If files are missing, if they cannot be downloaded, or if data_dir is no path.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from nobackprop.data.origin import Origin, find
    >>> mine = Origin("mine", ("a.bin",), ("mine",), "https://example.org/", {})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = Path(folder, "a.bin").write_bytes(b"abc")
    ...     [path.name for path in find(mine, folder)]
    ['a.bin']
    """
    flag("download", download)
    # if the user names a folder, files of another folder must not be used instead
    if data_dir is not None:
        folders = origin.folders_in(data_dir)
        found = origin.complete(folders)
        if found is None:
            either = ", each plain or with .gz" if f"{origin.files[0]}.gz" in origin.spellings(origin.files[0]) else ""
            raise InputError(f"no {origin.name} in {_listed(folders)}: expected {', '.join(origin.files)}{either}")
        return found
    import pooch  # imported here, because the import is slow and most calls do not need it

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
            raise InputError(
                f"{origin.url} does not have all files of {origin.name}: expected {', '.join(origin.files)}"
            )
        raise InputError(
            f"no {origin.name} in {_listed([*folders, cache])}: name the folder of its files with "
            "--data-dir DIR or NOBACKPROP_DATA, or fetch them with --download"
        )
    return found


def _listed(folders: list[Path]) -> str:
    """The folders as a list in a sentence."""
    return " or ".join(str(folder) for folder in folders)


def _fetch(origin: Origin, cache: Path) -> None:
    """Download the files that are missing or damaged in the cache, and unpack the archives."""
    import pooch

    store = pooch.create(path=cache, base_url=origin.url, registry=dict(origin.downloads))
    for file, checksum in origin.downloads.items():
        packed = file.endswith((".tar.gz", ".zip"))
        # if the files of an archive are there, the archive need not be read again
        if packed and origin.complete(origin.folders_in(cache)) is not None:
            continue
        try:
            there = cache / file
            if there.is_file() and there.stat().st_size > LARGEST:
                there.unlink()  # damaged: computing its checksum would read all of it
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
    """Whether a download that brought `came` bytes in `waited` seconds is given up."""
    return waited > PATIENCE and came < SLOWEST * waited


class _TooLarge(Exception):
    """A download or an archive has more than LARGEST bytes."""


def _watched(url: str, path: str, store: object) -> None:
    """Download to a file; pooch calls this function, and passes itself as the last argument.

    Raises InputError if there are more than LARGEST bytes, or if fewer than SLOWEST bytes a second have come after
    PATIENCE seconds.
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

    with Path(path).open("wb") as opened:
        # the download has its own thread, because a server can delay every step of it: the connection, the first byte,
        # every later byte; if the download is given up, the thread ends as soon as it writes to the closed file
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
    """A stream to read from, which raises _TooLarge after LARGEST bytes."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.left = stream, LARGEST

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        raw = self.stream.read(size)
        self.left -= len(raw)
        if self.left < 0:
            raise _TooLarge
        return raw


def _unpack(archive: Path, cache: Path) -> None:
    """Unpack an archive, .tar.gz or .zip, into the cache; each of its folders appears complete or not at all.

    Raises InputError if the archive is damaged, if it holds more than LARGEST bytes, or if it holds anything other than
    files and folders that lie inside it.
    """
    with tempfile.TemporaryDirectory(dir=cache) as partial:
        try:
            for name, stream in (_zipped if archive.suffix == ".zip" else _tarred)(archive):
                place = Path(partial, *_inside(archive, name))
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("wb") as file:
                    shutil.copyfileobj(stream, file)
        except InputError:
            raise
        except _TooLarge:
            raise InputError(f"{archive} unpacks to more than {LARGEST} bytes, expected fewer") from None
        except Exception as error:
            # for example a full disk: the archive is not damaged
            if isinstance(error, OSError) and error.errno is not None:
                raise
            kind = ".zip file" if archive.suffix == ".zip" else ".tar.gz file"
            raise InputError(f"{archive} is damaged or no archive ({error}), expected a whole {kind}") from error
        for came in Path(partial).iterdir():
            there = cache / came.name
            if there.is_dir():
                shutil.rmtree(there)
            came.replace(there)


def _tarred(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The name and contents of every file in a .tar.gz file."""
    with gzip.open(archive) as unpacked, tarfile.open(fileobj=_Bounded(unpacked), mode="r|") as tar:
        for member in tar:
            # a sparse file may claim any size
            stream = tar.extractfile(member) if member.isreg() and not member.issparse() else None
            if stream is not None:
                yield member.name, stream
            elif not member.isdir():
                raise _foreign(archive, member.name, "a link, a device or a sparse file")


def _zipped(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The name and contents of every file in a .zip file."""
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
    """The parts of the path of a member; InputError if the path leads out of the folder it is unpacked to."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/") or any(sign in name for sign in "\\:\0"):
        raise _foreign(archive, name, "a way out of its folder")
    return parts


def _foreign(archive: Path, name: str, what: str) -> InputError:
    """The error for a member that is not allowed in an archive."""
    return InputError(f"{archive} holds '{name}', {what}: expected only files and folders inside it")
