"""Augmentation: each operation is checked pixel by pixel; inputs stay unchanged; each image has its own draws."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from tolerance import assert_close

from nobackprop.data import augment, randaugment
from nobackprop.data.augment import AUGMENTATIONS, crop, cutout, flip, jitter, parse
from nobackprop.errors import InputError

SPECS = ["", *AUGMENTATIONS, "randaugment:3:30", "flip,crop:3,jitter:1,cutout:5,randaugment:1:5"]
seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
# whole numbers other than 0, so that pixels that moved in differ from those of the image
images = shapes.flatmap(lambda shape: arrays("float32", shape, elements=st.integers(1, 99)))


def generator(seed=0):
    return np.random.default_rng(seed)


def normal(n=64, side=12, dtype="float32"):
    return generator(7).standard_normal((n, side, side, 3)).astype(dtype)


def numbered(n, height, width):
    """Images in which all pixels are different numbers, and none is 0."""
    return np.arange(1.0, n * height * width + 1).reshape(n, height, width, 1)


@pytest.mark.parametrize("spec", SPECS)
@given(x=images, seed=seeds, wide=st.booleans())
def test_shape_and_type_stay_input_stays_and_the_seed_is_all_that_counts(spec, x, seed, wide):
    x = x.astype("float64") if wide else x
    before = x.copy()
    x.flags.writeable = False
    out = parse(spec)(generator(seed), x)
    assert out.shape == x.shape and out.dtype == x.dtype and np.isfinite(out).all()
    assert np.array_equal(x, before)
    assert np.array_equal(out, parse(spec)(generator(seed), x))


@pytest.mark.parametrize("spec", SPECS[1:])
def test_images_are_drawn_independently_and_no_seed_is_like_another(spec):
    x = np.repeat(normal(1), 64, axis=0)
    a, b = (parse(spec)(generator(seed), x) for seed in (0, 1))
    assert not np.array_equal(a, b)
    assert len({image.tobytes() for image in a}) > 1
    again = parse(spec)
    rng = generator()
    assert not np.array_equal(again(rng, x), again(rng, x))


@given(x=images, seed=seeds)
def test_flip_is_its_own_inverse_and_mirrors_whole_images(x, seed):
    out = flip(generator(seed), x)
    assert np.array_equal(flip(generator(seed), out), x)
    for came, went in zip(x, out):
        assert np.array_equal(went, came) or np.array_equal(went, came[:, ::-1])
    assert np.array_equal(flip(generator(seed), x, p=1), x[:, :, ::-1])
    assert np.array_equal(flip(generator(seed), x, p=0), x)


def test_flip_mirrors_one_in_two():
    x = numbered(4000, 1, 2)
    mirrored = flip(generator(), x)[:, 0, 0, 0] != x[:, 0, 0, 0]
    assert abs(mirrored.mean() - 0.5) < 0.04
    assert abs(np.corrcoef(mirrored[:-1], mirrored[1:])[0, 1]) < 0.06


@given(x=images, pad=st.integers(0, 5), seed=seeds)
def test_every_crop_is_a_window_of_the_framed_image(x, pad, seed):
    out = crop(generator(seed), x, pad)
    _, height, width, channels = x.shape
    for came, went in zip(x, out):
        framed = np.zeros((height + 2 * pad, width + 2 * pad, channels))
        framed[pad:pad + height, pad:pad + width] = came
        windows = (framed[i:i + height, j:j + width] for i in range(2 * pad + 1) for j in range(2 * pad + 1))
        assert any(np.array_equal(went, window) for window in windows)


@given(x=images, seed=seeds)
def test_without_room_crop_and_jitter_do_nothing(x, seed):
    assert np.array_equal(crop(generator(seed), x, 0), x)
    assert np.array_equal(jitter(generator(seed), x, 0), x)


@pytest.mark.parametrize("function, reach", [(crop, 2), (jitter, 2), (crop, 1), (jitter, 3)])
def test_all_shifts_are_equally_frequent_and_both_axes_independent(function, reach):
    side, n = 9, 8000
    middle = (side + 1) * (side // 2) + 1  # the number in the middle of the image
    x = np.repeat(numbered(1, side, side), n, axis=0)
    place = (function(generator(), x, reach) == middle).reshape(n, -1)
    assert (place.sum(1) == 1).all()
    down, right = np.divmod(place.argmax(1), side)
    counts = np.zeros((2 * reach + 1, 2 * reach + 1))
    np.add.at(counts, (down - side // 2 + reach, right - side // 2 + reach), 1)
    expected = n / counts.size
    assert ((counts - expected) ** 2).sum() / expected < counts.size + 6 * (2 * counts.size) ** 0.5  # chi squared


@given(x=images, reach=st.integers(0, 4), seed=seeds)
def test_every_jitter_is_a_shift_with_its_edges_repeated(x, reach, seed):
    out = jitter(generator(seed), x, reach)
    _, height, width, _ = x.shape
    for came, went in zip(x, out):
        framed = np.pad(came, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        windows = (framed[i:i + height, j:j + width] for i in range(2 * reach + 1) for j in range(2 * reach + 1))
        assert any(np.array_equal(went, window) for window in windows)


@given(x=images, size=st.integers(1, 12), seed=seeds)
def test_cutout_hides_one_square_of_at_most_that_size(x, size, seed):
    out = cutout(generator(seed), x, size)
    assert np.array_equal(out[out != 0], x[out != 0])
    _, height, width, _ = x.shape
    for gone in out == 0:
        assert (gone == gone[..., :1]).all()
        rows, columns = (np.flatnonzero(gone[..., 0].any(axis)) for axis in (1, 0))
        assert gone[..., 0].sum() == len(rows) * len(columns)
        for line, side in ((rows, height), (columns, width)):
            assert len(line) == line[-1] - line[0] + 1 <= size
            # a side is shorter than size only if the square reaches over the border
            assert len(line) == size or line[0] == 0 or line[-1] == side - 1


def test_cutout_takes_all_of_its_square_inside_and_starts_from_every_pixel():
    x = np.ones((4000, 9, 9, 1))
    sizes = (cutout(generator(), x, 3) == 0).sum((1, 2, 3))
    assert set(sizes) == {4, 6, 9} and abs((sizes == 9).mean() - 49 / 81) < 0.04
    centres = (cutout(generator(), x, 1) == 0).sum(0)
    assert centres.min() > 20 and centres.sum() == 4000


# ---------------------------------------------------------------- RandAugment

OPERATIONS = {operation.__name__: operation for operation in randaugment.OPERATIONS}
GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
STRENGTHLESS = ("identity", "autocontrast")


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.0, 0.3, 1.0])
def test_operations_treat_every_image_by_itself_and_within_its_range(name, strength):
    x = normal(5, dtype="float64")
    out = OPERATIONS[name](x, strength)
    assert out.shape == x.shape
    for i, image in enumerate(x):
        assert_close(OPERATIONS[name](image[None], strength)[0], out[i], of=x)
        assert out[i].max() <= image.max() + 1e-12 and out[i].min() >= image.min() - 1e-12
    if name not in STRENGTHLESS and abs(strength) == 1:
        assert not np.allclose(out, x)


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - {"autocontrast", "posterize"}))
def test_without_strength_nothing_happens(name):
    x = normal(4, dtype="float64")
    assert_close(OPERATIONS[name](x, 0.0), x, of=x)


@pytest.mark.parametrize("name", OPERATIONS)
def test_one_grey_and_one_pixel_do_no_harm(name):
    for x in (np.full((2, 4, 4, 3), 5.0), np.full((1, 1, 1, 1), -2.0)):
        out = OPERATIONS[name](x, 1.0)
        assert np.isfinite(out).all()
        assert name in GEOMETRIC or np.array_equal(out, x)


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("strength", [-1.0, -0.4, 0.3, 1.0])
@pytest.mark.parametrize("height, width", [(8, 8), (7, 10)])
def test_geometry_against_scipy(name, strength, height, width):
    x = generator(3).standard_normal((2, height, width, 2))
    angle = strength * np.pi / 6
    matrix = {"rotate": [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]],
              "shear_x": [[1, 0], [0.3 * strength, 1]], "shear_y": [[1, 0.3 * strength], [0, 1]]}
    matrix = np.array(matrix.get(name, np.eye(2)))
    middle = np.array([height - 1, width - 1]) / 2
    shift = {"translate_x": [0, 0.3 * strength * width], "translate_y": [0.3 * strength * height, 0]}
    offset = middle - matrix @ middle - shift.get(name, [0, 0])
    out = OPERATIONS[name](x, strength)
    for n in range(2):
        for c in range(2):
            wanted = ndimage.affine_transform(x[n, :, :, c], matrix, offset, order=1, mode="grid-constant")
            assert np.allclose(out[n, :, :, c], wanted, rtol=0, atol=1e-9)


def test_translation_by_whole_pixels_is_a_shift():
    x = numbered(1, 10, 10)
    right, down = OPERATIONS["translate_x"](x, 1.0), OPERATIONS["translate_y"](x, -1.0)
    assert np.allclose(right[:, :, 3:], x[:, :, :-3]) and not right[:, :, :3].any()
    assert np.allclose(down[:, :-3], x[:, 3:]) and not down[:, -3:].any()


def test_colours():
    x = normal(3, dtype="float64")
    low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
    stretched = OPERATIONS["autocontrast"](x, 0.5)
    assert np.allclose(stretched.min((1, 2)), low[:, :, 0, 0]) and np.allclose(stretched.max((1, 2)), high[:, :, 0, 0])
    assert np.allclose(OPERATIONS["brightness"](x, -1.0), low + 0.1 * (x - low))
    assert np.allclose(OPERATIONS["brightness"](x, 1.0), np.minimum(low + 1.9 * (x - low), high))
    for name, axes in (("contrast", (1, 2, 3)), ("colour", 3)):
        mean = x.mean(axes, keepdims=True)
        assert np.allclose(OPERATIONS[name](x, -1.0), mean + 0.1 * (x - mean))
    blurred = ndimage.uniform_filter(x, (0, 3, 3, 0), mode="nearest")
    assert np.allclose(OPERATIONS["sharpness"](x, -1.0), blurred + 0.1 * (x - blurred))
    assert np.allclose(OPERATIONS["solarize"](x, 1.0), np.where(x > low, low + high - x, x))
    half = OPERATIONS["solarize"](x, -0.5)
    bright = x > (low + high) / 2
    assert np.array_equal(half[~bright], x[~bright]) and np.allclose(half[bright], (low + high - x)[bright])
    posterized = OPERATIONS["posterize"](x, 1.0)
    assert all(len(np.unique(image)) <= 16 for image in posterized)
    assert (posterized <= x + 1e-12).all() and (x - posterized <= (high - low) / 16 + 1e-12).all()


def test_randaugment_does_every_operation_in_both_directions_equally_often(monkeypatch):
    seen = {}

    def spy(name):
        def operation(x, strength):
            seen[name, strength] = seen.get((name, strength), 0) + len(x)
            return x + 1
        return operation

    names = list(OPERATIONS)
    monkeypatch.setattr(randaugment, "OPERATIONS", tuple(map(spy, names)))
    x = np.zeros((2800, 1, 1, 1), "float32")
    assert (randaugment.randaugment(generator(), x, 3, 15) == 3).all()  # three for each image, one per round
    assert set(seen) == {(name, strength) for name in names for strength in (-0.5, 0.5)}
    assert all(abs(count - 8400 / 26) < 80 for count in seen.values()) and sum(seen.values()) == 3 * 2800


def test_randaugment_of_no_operations_is_a_copy():
    x = normal(4)
    out = randaugment.randaugment(generator(), x, 0, 9)
    assert np.array_equal(out, x) and out is not x


# ---------------------------------------------------------------- names to type


def test_parse_does_what_is_typed_in_that_order():
    x = normal()
    typed = parse("flip, crop:3,cutout:5")(generator(5), x)
    rng = generator(5)
    assert np.array_equal(typed, cutout(rng, crop(rng, flip(rng, x), 3), 5))
    rng = generator(5)
    defaults = parse("crop,jitter,cutout,randaugment")(generator(5), x)
    assert np.array_equal(defaults, randaugment.randaugment(
        rng, cutout(rng, jitter(rng, crop(rng, x, 4), 2), 8), 2, 9))
    assert parse("")(generator(), x) is x


@pytest.mark.parametrize("text, words", [
    ("flop", "unknown augmentation 'flop': did you mean 'flip'? (known: flip, crop, jitter, cutout, randaugment)"),
    ("flip,,crop", "unknown augmentation ''"),
    (" ", "unknown augmentation ''"),
    ("flip:1", "augmentation 'flip:1': expected flip alone"),
    ("crop:x", "augmentation 'crop:x': expected crop:PAD with whole numbers"),
    ("crop:-1", "expected crop:PAD"),
    ("crop:", "expected crop:PAD"),
    ("crop:1:2", "expected crop:PAD"),
    ("crop:257", "the number of crop must be at most 256, got 257"),
    ("cutout:0", "the number of cutout must be at least 1, got 0"),
    ("jitter:99999999999999999999", "the number of jitter must be at most 256, got 9999"),
    ("randaugment:2:31", "the magnitude of randaugment must be at most 30, got 31"),
    ("randaugment:14", "the number of operations of randaugment must be at most 13, got 14"),
])
def test_wrong_names_and_numbers_are_one_sentence(text, words):
    with pytest.raises(InputError) as caught:
        parse(text)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_only_images_can_be_augmented(name):
    with pytest.raises(InputError, match=r"\(N, H, W, C\)"):
        parse(name)(generator(), np.zeros((3, 4), "float32"))
    assert "\n" not in AUGMENTATIONS[name].summary


def test_whole_numbers_can_be_moved_but_not_computed_with():
    x = generator().integers(1, 256, (5, 6, 6, 3), np.uint8)
    assert augment.parse("flip,crop,jitter,cutout")(generator(), x).dtype == "uint8"
    with pytest.raises(InputError, match="type uint8"):
        parse("randaugment")(generator(), x)


def test_no_probability():
    with pytest.raises(InputError, match="the probability of flip must be at most 1, got 1.5"):
        flip(generator(), normal(), 1.5)


@pytest.mark.parametrize("wrong", [True, "1", None, np.nan, 1.5, -1, [1], 1j], ids=repr)
@pytest.mark.parametrize("call", [flip, crop, jitter, cutout, AUGMENTATIONS["randaugment"].function,
                                  lambda rng, x, m: AUGMENTATIONS["randaugment"].function(rng, x, 2, m)])
def test_what_is_no_number_is_one_sentence(call, wrong):
    with pytest.raises(InputError, match="must be") as caught:
        call(generator(), normal(), wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [None, 3, ["flip"], b"flip"], ids=repr)
def test_what_is_no_text_describes_no_augmentation(text):
    with pytest.raises(InputError, match="expected a text such as 'flip,crop:4'"):
        parse(text)
