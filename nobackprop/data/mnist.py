"""MNIST and Fashion-MNIST: two data sets in four IDX files of the same names, found or downloaded."""
from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .dataset import Dataset, from_arrays
from .idx import read_idx

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
VALIDATION = 1 / 12  # 5,000 of the 60,000 training images


@dataclass(frozen=True)
class Origin:
    """Where one of the two comes from and how to tell it from the other."""

    folders: tuple[str, ...]  # inside a data folder
    url: str
    checksums: tuple[str, ...]  # of the gzipped FILES, in pooch's notation
    first_labels: tuple[int, ...]


ORIGINS = {
    "mnist": Origin(
        folders=("mnist", "MNIST/raw"),
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        checksums=(
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        first_labels=(5, 0, 4, 1, 9, 2, 1, 3, 1, 4),
    ),
    "fashion-mnist": Origin(
        folders=("fashion-mnist", "FashionMNIST/raw"),
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        checksums=(
            "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "md5:25c81989df183df01b3e8a0aad5dffbe",
            "md5:bef4ecab320f06d8554ea6380940ec79",
            "md5:bb300cfdad3c16e7a12a480ee83cd310",
        ),
        first_labels=(9, 0, 0, 3, 0, 2, 7, 2, 5, 5),
    ),
}


def mnist(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """The handwritten digits, images `(N, 28, 28, 1)`; InputError where the files are not there or wrong."""
    return _dataset("mnist", data_dir, download)


def fashion_mnist(data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> Dataset:
    """The pieces of clothing, images `(N, 28, 28, 1)`; InputError where the files are not there or wrong."""
    return _dataset("fashion-mnist", data_dir, download)


def _dataset(name: str, data_dir: str | os.PathLike[str] | None, download: bool) -> Dataset:
    files = _files(name, data_dir, download)
    images, labels, test_images, test_labels = (read_idx(path) for path in files)
    for x, y, at in ((images, labels, files[0]), (test_images, test_labels, files[2])):
        if x.dtype != "uint8" or x.shape[1:] != (28, 28):
            raise InputError(f"{at} holds {x.dtype} of shape {x.shape}, expected uint8 of shape (N, 28, 28)")
        if y.shape != x.shape[:1]:
            raise InputError(f"{at} holds {len(x)} images, but the labels beside it have shape {y.shape}")
    for other, origin in ORIGINS.items():
        # the files of the two have the same names, so that nothing else gives a mistaken folder away
        if other != name and tuple(labels[:10]) == origin.first_labels:
            raise InputError(f"the files in {files[0].parent} are {other}, expected {name}")
    x, x_test = images[..., None], test_images[..., None]
    return from_arrays(name, x, labels, x_test, test_labels, classes=10, validation=VALIDATION)


def _files(name: str, data_dir: str | os.PathLike[str] | None, download: bool) -> list[Path]:
    """The paths of FILES: in data_dir if given, else in NOBACKPROP_DATA, the cache or the network."""
    # a folder that was asked for by name must not be passed over for another one
    if data_dir is not None:
        folders = _folders(name, data_dir)
        found = _complete(folders)
        if found is None:
            raise InputError(
                f"no {name} in {_listed(folders)}: expected {', '.join(FILES)}, each plain or with .gz"
            )
        return found
    import pooch  # slow to import, and needed only from here on

    variable, cache = os.environ.get("NOBACKPROP_DATA"), pooch.os_cache("nobackprop") / name
    folders = _folders(name, variable) if variable else []
    found = _complete(folders)
    if found is not None:
        return found
    if download:
        return _fetched(name, cache)
    found = _complete([cache])
    if found is None:
        raise InputError(
            f"no {name} in {_listed([*folders, cache])}: name the folder of its four IDX files with "
            "--data-dir DIR or NOBACKPROP_DATA, or fetch them with --download"
        )
    return found


def _folders(name: str, data_dir: str | os.PathLike[str]) -> list[Path]:
    """Where the files may lie: in folders of the data set's own first, as the two share their file names."""
    root = Path(os.path.expanduser(data_dir))
    return [*(root / folder for folder in ORIGINS[name].folders), root]


def _complete(folders: Iterable[Path]) -> list[Path] | None:
    """The paths of FILES in the first folder that has them all."""
    for folder in folders:
        found = [path for file in FILES for path in _either(folder / file)]
        if len(found) == len(FILES):
            return found
    return None


def _either(path: Path) -> list[Path]:
    """The gzipped file, else the plain one, else none."""
    there = [p for p in (path.with_name(f"{path.name}.gz"), path) if os.path.isfile(p)]
    return there[:1]


def _listed(folders: list[Path]) -> str:
    return " or ".join(str(folder) for folder in folders)


def _fetched(name: str, cache: Path) -> list[Path]:
    """The paths of FILES in the cache, downloaded where they are missing there or damaged."""
    import pooch

    origin = ORIGINS[name]
    registry = {f"{file}.gz": checksum for file, checksum in zip(FILES, origin.checksums, strict=True)}
    store = pooch.create(path=cache, base_url=origin.url, registry=registry)
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())
    paths = []
    for file in registry:
        try:
            paths.append(Path(store.fetch(file, downloader=downloader)))
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
                f"{origin.url}{file} is not the file it should be: expected the checksum {registry[file]}"
            ) from error
    return paths
