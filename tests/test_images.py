"""CIFAR, SVHN and Tiny ImageNet: small forged files like the publishers', read, refused and downloaded."""
from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat
from test_data import memory_below, same, sentence, served, sparse

from nobackprop.data import DATASETS, cifar, dataset, from_arrays, load, matlab, origin, svhn, tiny_imagenet
from nobackprop.errors import InputError

CIFAR = {"cifar-10": "cifar-10-batches-bin", "cifar-100": "cifar-100-binary"}
RECORDS = {"cifar-10": (40,) * 6, "cifar-100": (1000, 200)}
WNIDS = ("n02000001", "n01000001", "n03000001")


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """The folder of an empty cache; the environment variable is not set."""
    cache = tmp_path / "cache" / "nobackprop"
    monkeypatch.delenv("NOBACKPROP_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: cache.with_name(project))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    return cache


@pytest.fixture
def small(monkeypatch):
    """CIFAR files have the numbers of records in RECORDS."""
    forms = {name: replace(form, records=RECORDS[name]) for name, form in cifar.FORMATS.items()}
    monkeypatch.setattr(cifar, "FORMATS", forms)


def forge_cifar(folder, name, seed=0):
    """Write the files of CIFAR-10 or CIFAR-100; return the images (N, 3, 32, 32) and labels (N,) of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    generator, form, held = np.random.default_rng(seed), cifar.FORMATS[name], []
    for file, n in zip(form.origin.files, RECORDS[name], strict=True):
        pixels = generator.integers(0, 256, (n, 3, 32, 32), np.uint8)
        columns = [np.arange(n) % count for count in form.labels]
        raw = np.column_stack([*columns, pixels.reshape(n, -1)]).astype(np.uint8)
        (folder / file).write_bytes(raw.tobytes())
        held.append((pixels, columns[-1]))
    return held


def forge_svhn(folder, **change):
    folder.mkdir(parents=True, exist_ok=True)
    generator, held = np.random.default_rng(0), []
    for file, n in zip(svhn.ORIGIN.files, (100, 40), strict=True):
        content = {"X": generator.integers(0, 256, (32, 32, 3, n), np.uint8),
                   "y": (np.arange(n) % 10 + 1)[:, None].astype(np.uint8)} | change
        savemat(folder / file, {key: value for key, value in content.items() if value is not None})
        held.append(content)
    return held


def jpeg(path, seed, mode="RGB", size=(64, 64)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode).save(path, "JPEG")


def forge_tiny(folder, train=20, val=4):
    for i, wnid in enumerate(WNIDS):
        for j in range(train):
            # every fifth image is grey, as some of the real images are
            jpeg(folder / "train" / wnid / "images" / f"{wnid}_{j}.JPEG", 100 * i + j, "L" if j % 5 == 0 else "RGB")
    lines = []
    for i in range(val * len(WNIDS)):
        jpeg(folder / "val" / "images" / f"val_{i}.JPEG", 1000 + i)
        lines.append(f"val_{i}.JPEG\t{WNIDS[(i + 1) % len(WNIDS)]}\t0\t0\t63\t63\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    return folder


def line_through(data, raw):
    """Assert that the test part is `raw` (N, H, W, C), shifted and scaled by one pair of numbers per channel."""
    assert data.x_test.shape == raw.shape and data.x_test.dtype == "float32"
    for c in range(raw.shape[-1]):
        slope, height = np.polyfit(raw[..., c].ravel().astype(float), data.x_test[..., c].ravel(), 1)
        assert slope > 0 and np.allclose(data.x_test[..., c], slope * raw[..., c] + height, atol=1e-5)


# ---------------------------------------------------------------- CIFAR


@pytest.mark.slow
@pytest.mark.parametrize("name", CIFAR)
@pytest.mark.parametrize("place", [".", "usual"])
def test_cifar_is_read_channel_by_channel_row_by_row(tmp_path, monkeypatch, small, name, place):
    folder = tmp_path / (CIFAR[name] if place == "usual" else ".")
    *train, (pixels, labels) = forge_cifar(folder, name)
    data = load(name, data_dir=tmp_path)
    classes = cifar.FORMATS[name].labels[-1]
    assert (data.name, data.shape, data.classes) == (name, DATASETS[name].shape, DATASETS[name].classes)
    assert classes == data.classes
    line_through(data, pixels.transpose(0, 2, 3, 1))
    assert data.y_test.tolist() == labels.tolist()
    rows = sum(len(labels) for _, labels in train)
    assert (len(data.y_train), len(data.y_validation)) == (round(rows * 0.9), round(rows * 0.1))
    monkeypatch.setenv("NOBACKPROP_DATA", str(tmp_path))
    assert same(load(name).x_train, data.x_train)


@pytest.mark.slow
@pytest.mark.parametrize("name", CIFAR)
def test_cifar_trains_on_all_of_its_other_files_with_their_labels(tmp_path, small, monkeypatch, name):
    *train, _ = forge_cifar(tmp_path, name)
    seen = {}

    def spy(*args, **kwargs):
        seen.update(x=args[1], y=args[2])
        return from_arrays(*args, **kwargs)

    monkeypatch.setattr(cifar, "from_arrays", spy)
    load(name, data_dir=tmp_path)
    assert seen["x"].dtype == "uint8"  # a quarter of the size of float32, until they are standardised
    assert np.array_equal(seen["x"], np.concatenate([pixels for pixels, _ in train]).transpose(0, 2, 3, 1))
    assert np.array_equal(seen["y"], np.concatenate([labels for _, labels in train]))


@pytest.mark.parametrize("name", CIFAR)
def test_cifar_files_of_wrong_sizes_and_labels_are_one_sentence(tmp_path, small, name):
    forge_cifar(tmp_path, name)
    path = tmp_path / cifar.FORMATS[name].origin.files[0]
    whole, width = path.read_bytes(), cifar.PIXELS + len(cifar.FORMATS[name].labels)
    for content, words in [
        (whole[:-1], f"is cut short: {len(whole) - 1} bytes, expected {len(whole)}, "),
        (whole[:-width], f"{len(whole) // width} records of {width}"),
        (b"", "is cut short: 0 bytes"),
        (whole + b"x", "is too long"),
        (b"\xff" + whole[1:], "holds the label 255, expected labels from 0 to "),
    ]:
        path.write_bytes(content)
        said = sentence(load, name, data_dir=tmp_path)
        assert words in said and str(path) in said
    path.unlink()
    said = sentence(load, name, data_dir=tmp_path)
    assert f"no {name} in" in said and CIFAR[name] in said and path.name in said and ".gz" not in said


def test_cifar_100_checks_both_of_its_labels(tmp_path, small):
    forge_cifar(tmp_path, "cifar-100")
    path = tmp_path / "test.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:1] + b"\x64" + whole[2:])
    assert "test.bin holds the label 100, expected labels from 0 to 99" in sentence(
        load, "cifar-100", data_dir=tmp_path)
    path.write_bytes(b"\x14" + whole[1:])
    assert "test.bin holds the label 20, expected labels from 0 to 19" in sentence(
        load, "cifar-100", data_dir=tmp_path)


@pytest.mark.parametrize("name", CIFAR)
def test_cifar_of_another_size_is_not_read(tmp_path, small, name):
    forge_cifar(tmp_path, name)
    sparse(tmp_path / cifar.FORMATS[name].origin.files[0])
    with memory_below(2**22):
        assert f"is too long: {2**36} bytes" in sentence(load, name, data_dir=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", CIFAR)
def test_cifar_files_in_capitals(tmp_path, small, name):
    forge_cifar(tmp_path, name)
    expected = load(name, data_dir=tmp_path)
    for file in cifar.FORMATS[name].origin.files:
        (tmp_path / file).replace(tmp_path / file.upper())
    assert same(load(name, data_dir=tmp_path).x_test, expected.x_test)


def test_published_sizes():
    assert [sum(form.records) for form in cifar.FORMATS.values()] == [60_000, 60_000]
    for name in CIFAR:
        form = cifar.FORMATS[name]
        assert len(form.records) == len(form.origin.files) and form.records[-1] == 10_000


# ---------------------------------------------------------------- SVHN


@pytest.mark.parametrize("place", [".", "svhn", "SVHN"])
def test_svhn_is_read_and_its_10_is_the_digit_0(tmp_path, place):
    _, test = forge_svhn(tmp_path / place)
    data = load("svhn", data_dir=tmp_path)
    assert (data.name, data.shape, data.classes) == ("svhn", (32, 32, 3), 10)
    line_through(data, test["X"].transpose(3, 0, 1, 2))
    assert data.y_test.tolist() == [(i + 1) % 10 for i in range(40)]
    assert (len(data.y_train), len(data.y_validation)) == (90, 10)


@pytest.mark.parametrize("change, words", [
    ({"X": None}, "holds no X, expected the images X and the labels y"),
    ({"y": None}, "holds no y"),
    ({"X": np.zeros((32, 32, 3, 100))}, "holds X of type float64 and shape (32, 32, 3, 100), expected uint8"),
    ({"X": np.zeros((100, 32, 32, 3), np.uint8)}, "expected uint8 (32, 32, 3, N)"),
    ({"y": np.ones((7, 1), np.uint8)}, "holds y of type uint8 and shape (7, 1), expected 100 numbers"),
    ({"y": np.full((100, 1), 11, np.uint8)}, "holds the label 11, expected labels from 1 to 10"),
    ({"y": np.zeros((100, 1), np.uint8)}, "holds the label 0, expected labels from 1 to 10"),
    ({"y": np.full((100, 1), 1.5)}, "holds the label 1.5"),
    ({"y": np.array(["a"] * 100)}, "holds y of type"),
])
def test_svhn_of_other_contents_is_one_sentence(tmp_path, change, words):
    forge_svhn(tmp_path, **change)
    said = sentence(load, "svhn", data_dir=tmp_path)
    assert words in said and "train_32x32.mat" in said


def test_svhn_damaged_anywhere_is_one_sentence(tmp_path):
    forge_svhn(tmp_path)
    path = tmp_path / "test_32x32.mat"
    whole = path.read_bytes()
    cuts = [0, 1, 4, 100, 127, 128, 130, 140, 200, 1000, len(whole) // 2, len(whole) - 1]
    for content in [*(whole[:size] for size in cuts), b"<html>not found</html>" * 20, bytes(500)]:
        path.write_bytes(content)
        assert str(path) in sentence(load, "svhn", data_dir=tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_svhn_packed_or_not_and_with_other_arrays_in_the_file(tmp_path, packed):
    _, test = forge_svhn(tmp_path, options={"side": 32})
    for file in svhn.ORIGIN.files:
        held = loadmat(tmp_path / file, variable_names=["X", "y"])
        savemat(tmp_path / file, {"y": held["y"].astype(float), "extra": np.eye(3), "X": held["X"]},
                do_compression=packed)
    data = load("svhn", data_dir=tmp_path)
    line_through(data, test["X"].transpose(3, 0, 1, 2))
    assert data.y_test.tolist() == [(i + 1) % 10 for i in range(40)]


def test_svhn_byte_193_and_its_neighbours(tmp_path):
    """On some of these files, a reader that trusts them would crash the whole process."""
    forge_svhn(tmp_path)
    path = tmp_path / "test_32x32.mat"
    whole = path.read_bytes()
    told = 0
    for place in range(128, 260):
        path.write_bytes(whole[:place] + b"\x7f" + whole[place + 1:])
        try:
            svhn._read(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            told += 1
    assert told > 30


def test_svhn_of_the_wrong_shape_is_not_read(tmp_path, monkeypatch):
    forge_svhn(tmp_path, y=np.ones((7, 1), np.uint8))
    monkeypatch.setattr(matlab, "numbers", lambda stream, size: pytest.fail("read"))
    assert "expected 100 numbers" in sentence(load, "svhn", data_dir=tmp_path)


# ---------------------------------------------------------------- Tiny ImageNet


@pytest.mark.parametrize("place", [".", "tiny-imagenet-200"])
def test_tiny_imagenet_is_read(tmp_path, place):
    folder = forge_tiny(tmp_path / place)
    data = load("tiny-imagenet", data_dir=tmp_path)
    assert (data.name, data.shape, data.classes) == ("Tiny ImageNet-3", (64, 64, 3), 3)
    assert data.shape == DATASETS["tiny-imagenet"].shape
    assert (len(data.y_train), len(data.y_validation), len(data.y_test)) == (54, 6, 12)
    # labels are lines of wnids.txt; the published validation images are the test part, in their order
    assert data.y_test.tolist() == [(i + 1) % 3 for i in range(12)]
    paths = [folder / "val" / "images" / f"val_{i}.JPEG" for i in range(12)]
    line_through(data, np.stack([np.asarray(Image.open(path)) for path in paths]))


def test_tiny_imagenet_at_half_the_size_holds_means_of_four_pixels(tmp_path):
    folder = forge_tiny(tmp_path)
    data = load("tiny-imagenet-32", data_dir=tmp_path)
    assert (data.name, data.shape, data.classes) == ("Tiny ImageNet-3 at 32 x 32", (32, 32, 3), 3)
    assert data.shape == DATASETS["tiny-imagenet-32"].shape
    path = folder / "val" / "images" / "val_0.JPEG"
    means = np.asarray(Image.open(path), float).reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(tiny_imagenet._images([path], 2)[0] - means).max() <= 0.5  # rounded


def test_tiny_imagenet_training_images_go_with_their_folders(tmp_path):
    forge_tiny(tmp_path, train=3)
    pairs = tiny_imagenet._train(tmp_path, WNIDS)
    assert [label for _, label in pairs] == [0] * 3 + [1] * 3 + [2] * 3
    assert all(path.parent.parent.name == WNIDS[label] for path, label in pairs)
    assert pairs == sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def test_grey_images_have_three_equal_channels(tmp_path):
    jpeg(tmp_path / "a.JPEG", 0, "L")
    image = tiny_imagenet._images([tmp_path / "a.JPEG"], 1)[0]
    assert image.shape == (64, 64, 3) and np.ptp(image, axis=-1).max() == 0 and np.ptp(image) > 50


@pytest.mark.slow
def test_tiny_imagenet_wrong_files_are_one_sentence(tmp_path):
    folder = forge_tiny(tmp_path)
    wnids, annotations = folder / "wnids.txt", folder / "val" / "val_annotations.txt"
    training = folder / "train" / WNIDS[1] / "images"
    image = training / f"{WNIDS[1]}_3.JPEG"
    cases = [
        (wnids, b"", "holds 0 names of 0 classes, expected 2 or more"),
        (wnids, b"n02000001\n", "holds 1 names"),
        (wnids, b"n02000001\nn01000001\nn02000001\n", "holds 3 names of 2 classes"),
        (wnids, b"n02000001\n../../etc\n", "holds the line '../../etc', expected names of classes"),
        (wnids, b"n02000001\n\n", "holds 1 names"),
        (wnids, b"\xff\xfe", "is not text"),
        (wnids, b"n02000001\nn" + b"1" * 5000, "holds the line 'n111"),
        (wnids, "n02000001\nn\u0661\u0662".encode(), "expected names of classes"),
        (annotations, b"\0\tn01000001\n", "expected the name of a file"),
        (annotations, b"a" * 5000 + b"\tn01000001\n", "cannot read"),
        (wnids, b"n02000001\nn09999999\n", "holds no .JPEG file, expected the training images of class n09999999"),
        (annotations, b"", "is empty, expected one image a line"),
        (annotations, b"val_0.JPEG\tn7\n", "says that 'val_0.JPEG' is of class 'n7'"),
        (annotations, b"val_0.JPEG\n", "is of class ''"),
        (annotations, b"val_99.JPEG\tn01000001\n", "val_99.JPEG: No such file or directory, expected an image"),
        (image, image.read_bytes()[:200], "damaged or no JPEG file"),
        (image, image.read_bytes()[:-200], "damaged or no JPEG file"),
        (image, b"", "damaged or no JPEG file"),
        (image, b"<html>", "damaged or no JPEG file"),
    ]
    for path, content, words in cases:
        before = path.read_bytes()
        path.write_bytes(content)
        said = sentence(load, "tiny-imagenet", data_dir=tmp_path)
        assert words in said and str(folder) in said, said
        path.write_bytes(before)
    Image.new("RGB", (64, 64)).save(image, "PNG")
    assert f"cannot read {image}: damaged or no JPEG file" in sentence(load, "tiny-imagenet", data_dir=tmp_path)
    jpeg(image, 0, size=(64, 32))
    assert f"{image} has 64 x 32 pixels, expected 64 x 64" in sentence(load, "tiny-imagenet", data_dir=tmp_path)
    annotations.unlink()
    assert "expected wnids.txt, val/val_annotations.txt" in sentence(load, "tiny-imagenet", data_dir=tmp_path)


def test_files_as_users_have_them_are_read(tmp_path):
    folder = forge_tiny(tmp_path / "usual", train=10)
    expected = load("tiny-imagenet", data_dir=folder)
    training, held_out = folder / "train" / WNIDS[1] / "images", folder / "val" / "images"
    # files that macOS and Windows make, and a file that is not an image
    for place in (training, held_out, folder):
        for name in ("._x.JPEG", f"._{WNIDS[1]}_0.JPEG", ".DS_Store", "Thumbs.db", "desktop.ini", "readme.txt"):
            (place / name).write_bytes(b"no image")
    # endings in other capitals, or shorter
    for place, old, new in ((training, f"{WNIDS[1]}_0.JPEG", f"{WNIDS[1]}_0.jpeg"),
                            (training, f"{WNIDS[1]}_2.JPEG", f"{WNIDS[1]}_2.Jpg"),
                            (held_out, "val_1.JPEG", "val_1.jpeg"), (held_out, "val_2.JPEG", "VAL_2.JPG")):
        (place / old).replace(place / new)
    # Windows line endings, blank lines, a byte order mark, blanks at the end of a line
    for text in (folder / "wnids.txt", folder / "val" / "val_annotations.txt"):
        lines = text.read_text().splitlines()
        text.write_bytes(b"\xef\xbb\xbf" + "".join(f"{line} \r\n" for line in [*lines, "", "  "]).encode())
    (folder / "wnids.txt").replace(folder / "WNIDS.TXT")
    found = load("tiny-imagenet", data_dir=folder)
    assert all(same(getattr(found, f"{kind}_{part}"), getattr(expected, f"{kind}_{part}"))
               for kind in "xy" for part in ("train", "validation", "test"))


def test_images_and_texts_beyond_all_measure_are_not_read(tmp_path):
    folder = forge_tiny(tmp_path)
    for path in (folder / "wnids.txt", folder / "val" / "val_annotations.txt",
                 folder / "train" / WNIDS[1] / "images" / f"{WNIDS[1]}_3.JPEG"):
        before = path.read_bytes()
        sparse(path)
        with memory_below(2**23):
            assert f"{path} has {2**36} bytes, expected a" in sentence(load, "tiny-imagenet", data_dir=tmp_path)
        path.write_bytes(before)


def test_an_annotation_cannot_lead_out_of_its_folder(tmp_path):
    folder = forge_tiny(tmp_path)
    found = tiny_imagenet._official_validation(folder / "val" / "val_annotations.txt", WNIDS)
    (folder / "val" / "val_annotations.txt").write_text(f"../../secret.JPEG\t{WNIDS[0]}\n")
    (path, label), = tiny_imagenet._official_validation(folder / "val" / "val_annotations.txt", WNIDS)
    assert path == folder / "val" / "images" / "secret.JPEG" and label == 0
    assert {path.parent for path, _ in found} == {folder / "val" / "images"}


# ---------------------------------------------------------------- downloads


def pack(folder, archive):
    """An archive of a folder with the name of the folder inside, as the publishers make them."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in sorted(folder.rglob("*")):
                packed.write(path, path.relative_to(folder.parent))
    else:
        with tarfile.open(archive, "w:gz") as packed:
            packed.add(folder, folder.name)
    return "md5:" + md5(archive.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """All five data sets, forged, in a folder of what the publishers offer; with the checksum of each file."""
    folder, made = tmp_path_factory.mktemp("packed"), tmp_path_factory.mktemp("made")
    for name, usual in CIFAR.items():
        forge_cifar(made / usual, name)
    forge_svhn(folder)
    forge_tiny(made / "tiny-imagenet-200")
    for where in (*(form.origin for form in cifar.FORMATS.values()), tiny_imagenet.ORIGIN):
        file, = where.downloads
        pack(made / where.folders[0], folder / file)
    return folder, {path.name: "md5:" + md5(path.read_bytes(), usedforsecurity=False).hexdigest()
                    for path in folder.iterdir()}


@pytest.fixture
def published(tmp_path, monkeypatch, small, packed):
    """All five data sets, forged, on a server in the place of the publishers': its folder and its requests."""
    folder, sums = tmp_path / "published", packed[1]
    shutil.copytree(packed[0], folder)
    with served(folder) as (url, asked):
        def moved(where):
            return replace(where, url=url, downloads={file: sums[file] for file in where.downloads})

        forms = {name: replace(form, origin=moved(form.origin)) for name, form in cifar.FORMATS.items()}
        monkeypatch.setattr(cifar, "FORMATS", forms)
        monkeypatch.setattr(svhn, "ORIGIN", moved(svhn.ORIGIN))
        monkeypatch.setattr(tiny_imagenet, "ORIGIN", moved(tiny_imagenet.ORIGIN))
        yield folder, asked


ARCHIVES = {"cifar-10": "cifar-10-binary.tar.gz", "cifar-100": "cifar-100-binary.tar.gz",
            "tiny-imagenet": "tiny-imagenet-200.zip"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar-10", "cifar-100", "svhn", "tiny-imagenet"])
def test_download_fills_the_cache_once(nowhere, published, name):
    folder, asked = published
    assert "--download" in sentence(load, name) and not asked
    data = load(name, download=True)
    files = 2 if name == "svhn" else 1
    assert len(asked) == files
    for download in (False, True):
        assert same(load(name, download=download).x_train, data.x_train)
    assert len(asked) == files
    # unpacking happens next to the files, and leaves nothing there
    assert {path.name for path in (nowhere / name).iterdir()} == (
        set(svhn.ORIGIN.files) if name == "svhn" else
        {ARCHIVES[name], (CIFAR | {"tiny-imagenet": "tiny-imagenet-200"})[name]})


@pytest.mark.slow
def test_both_sizes_of_tiny_imagenet_share_one_download(nowhere, published):
    load("tiny-imagenet", download=True)
    assert load("tiny-imagenet-32").shape == (32, 32, 3) and len(published[1]) == 1


def test_what_is_unpacked_is_not_unpacked_again(nowhere, published, monkeypatch):
    load("cifar-10", download=True)
    monkeypatch.setattr(origin, "_unpack", lambda archive, cache: pytest.fail("unpacked again"))
    load("cifar-10", download=True)


@pytest.mark.slow
def test_files_missing_in_the_cache_come_from_its_archive(nowhere, published):
    data = load("cifar-10", download=True)
    path = nowhere / "cifar-10" / "cifar-10-batches-bin" / "data_batch_3.bin"
    path.unlink()
    assert "no cifar-10 in" in sentence(load, "cifar-10")
    assert same(load("cifar-10", download=True).x_train, data.x_train) and len(published[1]) == 1


@pytest.mark.parametrize("name", ["cifar-10", "tiny-imagenet"])
def test_another_archive_is_one_sentence_and_leaves_nothing(nowhere, published, name):
    archive = published[0] / ARCHIVES[name]
    archive.write_bytes(archive.read_bytes() + b"\0")
    said = sentence(load, name, download=True)
    assert f"{archive.name} is not the file it should be: expected the checksum md5:" in said
    assert [path for path in nowhere.rglob("*") if path.is_file()] == []


def test_an_archive_of_other_files_is_one_sentence(nowhere, published, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    checksum = pack(tmp_path / "other", published[0] / "cifar-10-binary.tar.gz")
    form = cifar.FORMATS["cifar-10"]
    changed = replace(form.origin, downloads={"cifar-10-binary.tar.gz": checksum})
    monkeypatch.setitem(cifar.FORMATS, "cifar-10", replace(form, origin=changed))
    assert "does not have all files of cifar-10: expected data_batch_1.bin" in sentence(load, "cifar-10", download=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar-10", "tiny-imagenet"])
def test_a_full_disc_while_unpacking_is_one_sentence_and_leaves_no_half_folder(nowhere, published, monkeypatch, name):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(origin.os, "replace", full)
        assert "(No space left on device)" in sentence(load, name, download=True)
    assert [path.name for path in (nowhere / name).iterdir()] == [ARCHIVES[name]]
    assert load(name, download=True).shape == DATASETS[name].shape and len(published[1]) == 1


def tar(*members):
    """A .tar.gz file of members (name, kind, target of the link); each file has four bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"evil") if info.size else None)
    return raw.getvalue()


def zipped(*members):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"evil")
    return raw.getvalue()


def offer(monkeypatch, published, content, name="cifar-10"):
    """Publish an archive with that content, and its checksum."""
    archive = published[0] / ARCHIVES[name]
    archive.write_bytes(content)
    sums = {archive.name: "md5:" + md5(content, usedforsecurity=False).hexdigest()}
    if name == "tiny-imagenet":
        monkeypatch.setattr(tiny_imagenet, "ORIGIN", replace(tiny_imagenet.ORIGIN, downloads=sums))
    else:
        form = cifar.FORMATS[name]
        monkeypatch.setitem(cifar.FORMATS, name, replace(form, origin=replace(form.origin, downloads=sums)))


@pytest.mark.parametrize("inside, outside", [
    ("../evil", "a way out of its folder"), ("a/../../../evil", "a way out"), ("ABSOLUTE", "a way out"),
    ("..", "a way out"), ("C:evil", "a way out"), ("..\\evil", "a way out"),
])
@pytest.mark.parametrize("name", ["cifar-10", "tiny-imagenet"])
def test_no_member_of_an_archive_leads_out_of_it(nowhere, published, monkeypatch, tmp_path, name, inside, outside):
    inside = str(tmp_path / "evil") if inside == "ABSOLUTE" else inside
    content = (zipped(("good", 0o100644), (inside, 0o100644)) if name == "tiny-imagenet" else
               tar(("good", tarfile.REGTYPE, ""), (inside, tarfile.REGTYPE, "")))
    offer(monkeypatch, published, content, name)
    assert outside in sentence(load, name, download=True)
    assert list(tmp_path.rglob("*evil*")) == []
    assert [path.name for path in (nowhere / name).iterdir()] == [ARCHIVES[name]]


@pytest.mark.parametrize("kind, link", [
    (tarfile.SYMTYPE, ".."), (tarfile.SYMTYPE, "/"), (tarfile.SYMTYPE, "good"), (tarfile.LNKTYPE, "good"),
    (tarfile.LNKTYPE, "../../cifar-10-binary.tar.gz"), (tarfile.FIFOTYPE, ""), (tarfile.CHRTYPE, ""),
    (tarfile.GNUTYPE_SPARSE, ""),
])
def test_no_member_of_an_archive_is_a_link_or_a_device(nowhere, published, monkeypatch, tmp_path, kind, link):
    good, evil = (("good", tarfile.REGTYPE, ""), ("a/evil", tarfile.REGTYPE, ""))
    offer(monkeypatch, published, tar(good, ("a", kind, link), evil))
    said = sentence(load, "cifar-10", download=True)
    assert "holds 'a', a link, a device or a sparse file: expected only files and folders inside it" in said
    assert list(tmp_path.rglob("*evil*")) == []
    assert [path.name for path in (nowhere / "cifar-10").iterdir()] == [ARCHIVES["cifar-10"]]


def test_no_member_of_a_zip_file_is_a_link(nowhere, published, monkeypatch):
    offer(monkeypatch, published, zipped(("a", 0o120777), ("a/evil", 0o100644)), "tiny-imagenet")
    assert "holds 'a', a link: expected only files and folders" in sentence(load, "tiny-imagenet", download=True)


@pytest.mark.parametrize("content", [
    b"", b"<html>not found</html>", gzip.compress(b"no tar file at all"), gzip.compress(bytes(10_000))[:-20],
    tar(("good", tarfile.REGTYPE, ""))[:-12], zipped(("good", 0o100644))[:-30], b"PK\5\6" + bytes(17) + b"\7",
], ids=range(7))
@pytest.mark.parametrize("name", ["cifar-10", "tiny-imagenet"])
def test_what_is_no_archive_is_one_sentence(nowhere, published, monkeypatch, name, content):
    offer(monkeypatch, published, content, name)
    said = sentence(load, name, download=True)
    assert "is damaged or no archive (" in said or f"does not have all files of {name}" in said
    assert [path.name for path in (nowhere / name).iterdir()] == [ARCHIVES[name]]


@pytest.mark.parametrize("name", ["cifar-10", "tiny-imagenet"])
def test_an_archive_that_unpacks_to_too_much_is_refused(nowhere, published, monkeypatch, tmp_path, name):
    monkeypatch.setattr(origin, "LARGEST", 2**20)
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "zeros").write_bytes(bytes(2**21))
    path = tmp_path / ARCHIVES[name]
    if name == "tiny-imagenet":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "big" / "zeros", "zeros")
    else:
        pack(tmp_path / "big", path)
    offer(monkeypatch, published, path.read_bytes(), name)
    assert f"unpacks to more than {2**20} bytes, expected fewer" in sentence(load, name, download=True)
    assert [path.name for path in (nowhere / name).iterdir()] == [ARCHIVES[name]]


def test_a_zip_file_that_understates_what_it_holds_is_damaged(nowhere, published, monkeypatch, tmp_path):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**21))
    lying = raw.getvalue().replace(struct.pack("<I", 2**21), struct.pack("<I", 2**10))
    offer(monkeypatch, published, lying, "tiny-imagenet")
    with memory_below(2**23):
        assert "is damaged or no archive" in sentence(load, "tiny-imagenet", download=True)


def test_publishers_are_whole():
    origins = [*(form.origin for form in cifar.FORMATS.values()), svhn.ORIGIN, tiny_imagenet.ORIGIN]
    for where in origins:
        assert where.url.startswith("http") and where.url.endswith("/") and where.downloads
        for checksum in where.downloads.values():
            kind, digits = checksum.split(":")
            assert kind == "md5" and len(bytes.fromhex(digits)) == 16


# ---------------------------------------------------------------- defaults and memory


@pytest.mark.parametrize("name", ["cifar-10", "cifar-100", "svhn", "tiny-imagenet", "tiny-imagenet-32"])
def test_defaults_of_training(name):
    wanted = {"model": "conv3:0.25", "activation": "relu", "epochs": 5, "batch_size": 64, "optimizer": "adam",
              "lr": 1e-3, "schedule": "step", "threads": None}
    assert DATASETS[name].defaults == wanted


def test_no_copy_of_the_whole_in_float64(monkeypatch):
    monkeypatch.setattr(dataset, "CHUNK", 2**14)
    x = np.random.default_rng(0).integers(0, 256, (2000, 16, 16, 3), np.uint8)
    y = np.arange(2000) % 10
    from_arrays("t", x[:200], y[:200], x[:200], y[:200])  # so that the memory of imports is not counted
    tracemalloc.start()
    try:
        from_arrays("t", x, y, x[:200], y[:200])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 2,200 images in float32, and the chosen rows in uint8; a float64 copy of 1,800 images would be 11 MB more
    assert peak < 1.1 * (4 + 1) * (x.nbytes + x[:200].nbytes) + 2**20


@pytest.mark.parametrize("shape", [(7,), (3, 4, 2)])
def test_chunks_change_nothing_but_the_last_bits(monkeypatch, shape):
    x = np.random.default_rng(0).normal(50, 3, (90, *shape))
    y = np.arange(90) % 3
    whole = from_arrays("t", x, y, x[:30], y[:30])
    for chunk in (1, 50, 10**9):
        monkeypatch.setattr(dataset, "CHUNK", chunk)
        parts = from_arrays("t", x, y, x[:30], y[:30])
        assert np.allclose(parts.x_train, whole.x_train, rtol=0, atol=1e-6)
        assert np.allclose(parts.x_test, whole.x_test, rtol=0, atol=1e-6)
    monkeypatch.setattr(dataset, "CHUNK", 50)
    bad = x[:30].copy()
    bad[17] = 3e38
    assert "(first in row 17)" in sentence(from_arrays, "t", x / 1e6, y, bad, y[:30])


# ---------------------------------------------------------------- the real ones


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    """A function that lays out a real data set; it skips the test if ../shared does not have the data set."""
    tool = Path(__file__).resolve().parents[2] / "shared" / "tools" / "unpack_data.py"
    root = tmp_path_factory.mktemp("real")

    def lay_out(part, folder):
        if not tool.is_file():
            pytest.skip(f"no real images: {tool} is not there")
        if not (root / folder).is_dir():
            subprocess.run([sys.executable, str(tool), str(root), part], check=True, capture_output=True)
        return root

    return lay_out


@pytest.mark.data
@pytest.mark.slow
def test_cifar_10_itself(unpacked):
    data = load("cifar-10", data_dir=unpacked("cifar10", "cifar-10-batches-bin"))
    assert repr(data) == "Dataset('cifar-10', 45000 + 5000 + 10000 inputs of shape (32, 32, 3), 10 classes)"
    assert np.bincount(data.y_train).tolist() == [4500] * 10
    assert np.bincount(data.y_validation).tolist() == [500] * 10
    assert np.bincount(data.y_test).tolist() == [1000] * 10
    assert np.allclose(data.x_train.mean((0, 1, 2), dtype=float), 0, atol=1e-5)
    assert np.allclose([data.x_train[..., c].std(dtype=float) for c in range(3)], 1, atol=1e-5)
    # neighbouring pixels are similar along both axes, and so are the channels of a pixel: nothing is transposed
    x = data.x_test[:500]
    for a, b in ((x[:, 1:], x[:, :-1]), (x[:, :, 1:], x[:, :, :-1]), (x[..., 1:], x[..., :-1])):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.85
    # the mean images of the classes classify far above chance: the labels belong to their images
    means = np.stack([data.x_train[data.y_train == label].mean(0).ravel() for label in range(10)])
    score = data.x_test.reshape(10000, -1) @ means.T - (means**2).sum(1) / 2
    assert (score.argmax(1) == data.y_test).mean() > 0.25


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("NOBACKPROP_SLOW"), reason="decodes 35,000 images: set NOBACKPROP_SLOW=1")
def test_tiny_imagenet_100_itself(unpacked):
    data = load("tiny-imagenet-32", data_dir=unpacked("tiny", "tiny-imagenet-200"))
    assert repr(data) == ("Dataset('Tiny ImageNet-100 at 32 x 32', 27000 + 3000 + 5000 inputs of shape (32, 32, 3), "
                          "100 classes)")
    assert np.bincount(data.y_train).tolist() == [270] * 100
    assert np.bincount(data.y_validation).tolist() == [30] * 100
    assert np.bincount(data.y_test).tolist() == [50] * 100
