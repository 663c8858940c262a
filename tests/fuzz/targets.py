"""What is fuzzed: for every format some valid small files, and what is done with a damaged one.

The first byte of an input chooses a way of wrapping the others, so that damage also gets inside what is packed or has
a checksum: behind a checksum that fits, it reaches the code that trusts the checksum.
"""
from __future__ import annotations

import gzip
import io
import json
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nobackprop import figures, tree
from nobackprop.data import cifar, load, matlab, mnist, origin, svhn, tiny_imagenet, write_idx
from nobackprop.data.idx import read_idx
from nobackprop.experiments import papers, results

WNIDS = ("n02000001", "n01000001")
PART = b"|part|"  # between the members of an archive
RECORDS = 8  # of a CIFAR file


@dataclass(frozen=True)
class Target:
    """Valid inputs to begin with, what to do with an input in a folder, and how to change one (or as bytes)."""

    seeds: Callable[[Path], list[bytes]]
    run: Callable[[Path, bytes], None]
    mutate: Callable[[bytes, random.Random], bytes] | None = None


def written(path: Path, content: bytes) -> Path:
    """The path, after the content is written to it."""
    path.write_bytes(content)
    return path


# ---------------------------------------------------------------- IDX


def idx_seeds(folder: Path) -> list[bytes]:
    """Arrays of every type, plain, to be packed, and packed."""
    seeds = []
    for kind in ("u1", "i1", "i2", "i4", "f4", "f8"):
        write_idx(folder / "a", np.arange(12).astype(kind).reshape(3, 2, 2))
        plain = (folder / "a").read_bytes()
        seeds += [b"\0" + plain, b"\1" + plain, b"\2" + gzip.compress(plain)]
    return seeds


def idx(folder: Path, content: bytes) -> None:
    """Read it as an IDX file."""
    way, content = content[:1], content[1:]
    read_idx(written(folder / "a", gzip.compress(content, 1) if way == b"\1" else content))


def mnist_files(folder: Path) -> list[bytes]:
    """The contents of four small files."""
    contents = []
    for size in (48, 24):
        for array in (np.arange(size * 784).reshape(size, 28, 28) % 251, np.arange(size) % 4):
            write_idx(folder / "a", array.astype(np.uint8))
            contents.append((folder / "a").read_bytes())
    return contents


def mnist_seeds(folder: Path) -> list[bytes]:
    """Each of the four files."""
    return [bytes([i]) + content for i, content in enumerate(mnist_files(folder))]


def mnist_folder(folder: Path, content: bytes) -> None:
    """Load MNIST with one of its files changed."""
    data = folder / "mnist"
    if not data.exists():
        data.mkdir()
        for file, valid in zip(mnist.FILES, mnist_files(folder)):
            (data / file).write_bytes(valid)
    changed = data / mnist.FILES[content[0] % 4 if content else 0]
    before = changed.read_bytes()
    try:
        changed.write_bytes(content[1:])
        load("mnist", data_dir=data)
    finally:
        changed.write_bytes(before)


# ---------------------------------------------------------------- images


def cifar_seeds(folder: Path) -> list[bytes]:
    """A file of CIFAR-10, one of CIFAR-100, and pieces of them that are repeated until they fit."""
    pixels = np.arange(RECORDS * 3072).reshape(RECORDS, 3072) % 256
    ten = np.column_stack([np.arange(RECORDS) % 10, pixels]).astype(np.uint8).tobytes()
    hundred = np.column_stack([np.arange(RECORDS) % 20, np.arange(RECORDS) * 9, pixels]).astype(np.uint8).tobytes()
    return [b"\0" + ten, b"\1" + hundred, b"\2" + ten[:100], b"\3" + hundred[:100]]


def cifar_file(folder: Path, content: bytes) -> None:
    """Read it as a file of CIFAR-10 or CIFAR-100, as it is or made to have the right size."""
    way, content = content[0] if content else 0, content[1:]
    labels = cifar.FORMATS[("cifar-10", "cifar-100")[way & 1]].labels
    size = RECORDS * (len(labels) + cifar.PIXELS)
    if way & 2 and content:
        content = (content * (size // len(content) + 1))[:size]
    images, classes = cifar._read(written(folder / "a", content), labels, RECORDS)
    assert images.shape == (RECORDS, 32, 32, 3) and classes.max() < labels[-1]


def mat_seeds(folder: Path) -> list[bytes]:
    """Files packed or not, with other arrays in them, and elements alone."""
    from scipy.io import savemat

    held: dict[str, Any] = {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[1], [10]], np.uint8)}
    seeds = []
    for more in ({}, {"cell": np.array([1, "a"], dtype=object), "text": "abc", "struct": {"a": 1.0}}):
        for packed in (False, True):
            savemat(folder / "a", held | more, do_compression=packed)
            seeds.append(b"\0" + (folder / "a").read_bytes())
        savemat(folder / "a", {"y": held["y"].astype(float)} | more)
        seeds += [way + (folder / "a").read_bytes()[128:] for way in (b"\1", b"\2")]
    return seeds


def mat(folder: Path, content: bytes) -> None:
    """Read it as a file of SVHN and all of its arrays; as it is, or behind a header, plain or packed."""
    way, content = content[:1], content[1:]
    if way == b"\1":
        content = b" " * 124 + b"\0\1IM" + content
    elif way == b"\2":
        raw = zlib.compress(content, 1)
        content = b" " * 124 + b"\0\1IM" + struct.pack("<2I", 15, len(raw)) + raw
    path = written(folder / "a.mat", content)
    for array in matlab.arrays(path).values():
        if array.dtype is not None:
            assert array.read().shape == array.shape
    svhn._read(path)


@cache
def jpegs() -> list[bytes]:
    """JPEG files: colours, grey, another size, and the four channels of printing."""
    from PIL import Image

    found = []
    for mode, size in (("RGB", (64, 64)), ("L", (64, 64)), ("RGB", (64, 32)), ("CMYK", (64, 64))):
        for options in ({"quality": 10}, {"progressive": True}, {"exif": b"Exif\0\0II*\0\10\0\0\0\0\0\0\0\0\0"}):
            raw = io.BytesIO()
            Image.linear_gradient("L").resize(size).convert(mode).save(raw, "JPEG", **options)
            found.append(raw.getvalue())
    return found


def jpeg(folder: Path, content: bytes) -> None:
    """Read it as an image at both sizes."""
    path = written(folder / "a.JPEG", content)
    for shrink in (1, 2):
        assert tiny_imagenet._images([path], shrink).shape == (1, 64 // shrink, 64 // shrink, 3)


def tiny_seeds(folder: Path) -> list[bytes]:
    """The names of the classes, and the labels of the images."""
    return [b"\0" + "\n".join(WNIDS).encode(), b"\1" + "".join(
        f"val_{i}.JPEG\t{wnid}\t0\t0\t63\t63\n" for i, wnid in enumerate(WNIDS)).encode()]


def tiny(folder: Path, content: bytes) -> None:
    """Load Tiny ImageNet with one of its texts changed."""
    data = folder / "tiny-imagenet-200"
    texts = data / "wnids.txt", data / "val" / "val_annotations.txt"
    if not data.exists():
        places = [data / "train" / wnid / "images" / f"{wnid}_{i}.JPEG" for wnid in WNIDS for i in range(10)]
        places += [data / "val" / "images" / f"val_{i}.JPEG" for i in range(len(WNIDS))]
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(jpegs()[0])
    for text, valid in zip(texts, tiny_seeds(folder)):
        text.write_bytes(valid[1:])
    texts[content[0] % 2 if content else 0].write_bytes(content[1:])
    load("tiny-imagenet-32", data_dir=folder)


# ---------------------------------------------------------------- archives


def npz_seeds(folder: Path) -> list[bytes]:
    """Trees, and the members of the same."""
    seeds = []
    deep = {"W": np.zeros((2, 2), np.float32), "b": None, "more": ([np.arange(3)], np.bool_(1))}
    for held in ([np.ones((2, 3))], deep):
        tree.save(folder / "a", held)
        with zipfile.ZipFile(folder / "a") as file:
            members = [file.read(name) for name in file.namelist()]
        seeds += [b"\0" + (folder / "a").read_bytes(), b"\1" + PART.join(members)]
    return seeds


def npz(folder: Path, content: bytes) -> None:
    """Load it as a tree; as it is, or as members with checksums that fit."""
    way, content = content[:1], content[1:]
    if way == b"\1":
        raw = io.BytesIO()
        with zipfile.ZipFile(raw, "w") as file:
            for i, member in enumerate(content.split(PART)):
                file.writestr(f"{i - 1 if i else 'outline'}.npy", member)
        content = raw.getvalue()
    tree.load(written(folder / "a.npz", content))


def archive_seeds(folder: Path) -> list[bytes]:
    """Archives of a folder, with a member of every kind."""
    raw, zipped = io.BytesIO(), io.BytesIO()
    kinds = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.GNUTYPE_SPARSE)
    seeds = []
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        for kind in kinds:
            with tarfile.open(fileobj=raw, mode="w", format=form) as packed:
                for name in ("folder/good", "folder/" + "long" * 50, "folder/\u00e9"):
                    info = tarfile.TarInfo(name)
                    info.size = 4
                    packed.addfile(info, io.BytesIO(b"good"))
                info = tarfile.TarInfo("other")
                info.type, info.linkname = kind, "folder/good"
                packed.addfile(info)
            seeds += [b"\0" + gzip.compress(raw.getvalue()), b"\1" + raw.getvalue()]
            raw = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("folder/good", "good" * 100)
        file.writestr("folder/other/", "")
    return [*seeds, b"\2" + zipped.getvalue()]


def archive(folder: Path, content: bytes) -> None:
    """Unpack it; nothing may come to lie elsewhere."""
    way, content = content[:1], content[1:]
    origin.LARGEST = 2**24
    outer = folder / "outer"
    inner = outer / "inner"
    inner.mkdir(parents=True, exist_ok=True)
    name = "a.zip" if way == b"\2" else "a.tar.gz"
    try:
        origin._unpack(written(inner / name, gzip.compress(content, 1) if way == b"\1" else content), inner)
    except OSError as error:  # of the disc, which the caller tells of: a name that is too long for one
        if error.errno is None:
            raise
    finally:
        assert [path.name for path in outer.iterdir()] == ["inner"]
        assert not any(path.is_symlink() for path in inner.rglob("*"))
        for path in sorted(inner.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


# ---------------------------------------------------------------- results.json


def results_seeds(folder: Path) -> list[bytes]:
    """What is stored with the documentation, in all its forms, with few epochs and runs of it."""
    found = []
    for path in sorted((Path(__file__).parents[2] / "docs" / "results").glob("*.json")):
        held = json.loads(path.read_text())
        rules: dict[str, int] = {}
        kept = []
        for run in held["runs"]:
            rules[run["rule"]] = rules.get(run["rule"], 0) + 1
            if rules[run["rule"]] <= 2:
                kept.append(run | {"history": run["history"][:2]})
        found.append(json.dumps(held | {"runs": kept}).encode())
    return found


def results_file(folder: Path, content: bytes) -> None:
    """Read it, make its table and draw its figure."""
    held = results.read(written(folder / "results.json", content))
    results.table(held)
    figures.write(papers.draw(held), folder / "figure.png")


ODD: tuple[Any, ...] = (None, True, 0, -1, 1, 2**63, 10**400, 1e308, -1e308, 5e-324, 0.5, "", "$", "$x^", "\ud800",
                        "\0", "a" * 3000, "bp", "\u4e2d", [], {}, [[]], [None], {"": None}, [1e308], "asap:table-5.2",
                        "al:table-2")


def mutate_results(content: bytes, rng: random.Random) -> bytes:
    """Another value, key or length at one to three places of a JSON text."""
    held = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places: list[tuple[Any, Any]] = []
        below = [held]
        while below:
            node = below.pop()
            keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
            places += [(node, key) for key in keys]
            below += [node[key] for key in keys]
        if not places:
            break
        # a place near the root as often as one of the many leaves
        node, key = places[int(len(places) * rng.random() ** 2)]
        what = rng.randrange(9)
        if what == 0:
            del node[key]
        elif what == 1:
            other, at = rng.choice(places)
            node[key] = json.loads(json.dumps(other[at] if rng.random() < 0.5 else [node[key]]))
        elif what == 2 and isinstance(node, list):
            node.insert(key, node[key])
        elif what == 3 and isinstance(node, dict):
            node[rng.choice(("", "rule", "exhibit", "$", "\ud800", "x" * 300))] = node[key]
        else:
            node[key] = rng.choice(ODD)
    return json.dumps(held).encode()


TARGETS = {
    "idx": Target(idx_seeds, idx),
    "mnist": Target(mnist_seeds, mnist_folder),
    "cifar": Target(cifar_seeds, cifar_file),
    "mat": Target(mat_seeds, mat),
    "jpeg": Target(lambda folder: jpegs(), jpeg),
    "tiny": Target(tiny_seeds, tiny),
    "npz": Target(npz_seeds, npz),
    "archive": Target(archive_seeds, archive),
    "results": Target(results_seeds, results_file, mutate_results),
}
