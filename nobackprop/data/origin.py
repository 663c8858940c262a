"""Where the files of a data set come from: a folder that the user names, the cache, or the network."""
from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError


@dataclass(frozen=True)
class Origin:
    """What a data set's files are called, in which folders they usually lie, and who publishes them."""

    name: str
    files: tuple[str, ...]  # that must all lie in one folder
    folders: tuple[str, ...]  # inside a data folder
    url: str
    downloads: Mapping[str, str]  # what to fetch from there, with checksums in pooch's notation
    gzipped: bool = False  # whether each of the files may as well end in .gz

    def folders_in(self, data_dir: str | os.PathLike[str]) -> list[Path]:
        """Where the files may lie: in folders of their own first, as data sets share file names."""
        root = Path(os.path.expanduser(data_dir))
        return [*(root / folder for folder in self.folders), root]

    def complete(self, folders: Iterable[Path]) -> list[Path] | None:
        """The paths of the files in the first folder that has them all."""
        for folder in folders:
            found = [path for file in self.files for path in self._either(folder / file)]
            if len(found) == len(self.files):
                return found
        return None

    def _either(self, path: Path) -> list[Path]:
        """The gzipped file where that is allowed, else the plain one, else none."""
        names = [f"{path.name}.gz"] * self.gzipped + [path.name]
        return [p for p in map(path.with_name, names) if os.path.isfile(p)][:1]


def find(origin: Origin, data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> list[Path]:
    """The paths of a data set's files: in data_dir if given, else in NOBACKPROP_DATA, the cache or the network.

    Raises InputError where they are not there or cannot be fetched.
    """
    # a folder that was asked for by name must not be passed over for another one
    if data_dir is not None:
        folders = origin.folders_in(data_dir)
        found = origin.complete(folders)
        if found is None:
            either = ", each plain or with .gz" if origin.gzipped else ""
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
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())
    for file, checksum in origin.downloads.items():
        packed = file.endswith((".tar.gz", ".zip"))
        # an archive has done its work where its files are: there is no need to read it again
        if packed and origin.complete(origin.folders_in(cache)) is not None:
            continue
        try:
            archive = store.fetch(file, downloader=downloader)
            if packed:
                _unpack(Path(archive), cache)
        except OSError as error:
            response = getattr(error, "response", None)
            if response is not None:  # pooch leaves the connection of a refused request open
                response.close()
            reason = error.strerror or type(error).__name__
            raise InputError(
                f"cannot download {origin.url}{file} to {cache} ({reason}): try again, or name a folder "
                "that has the files with --data-dir DIR"
            ) from error
        except ValueError as error:
            raise InputError(
                f"{origin.url}{file} is not the file it should be: expected the checksum {checksum}"
            ) from error


def _unpack(archive: Path, cache: Path) -> None:
    """Put what is in an archive beside it, each of its folders wholly or not at all."""
    import pooch

    kind = pooch.Unzip if archive.suffix == ".zip" else pooch.Untar
    with tempfile.TemporaryDirectory(dir=cache) as partial:
        # a folder that is not there yet: pooch takes one that is for unpacked
        kind(extract_dir=os.path.join(os.path.basename(partial), "new"))(str(archive), "download", None)
        for came in (Path(partial) / "new").iterdir():
            there = cache / came.name
            if there.is_dir():
                shutil.rmtree(there)
            os.replace(came, there)
