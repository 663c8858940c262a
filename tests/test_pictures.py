"""The pictures of the notebooks for beginners: each is drawn, and nothing in it is cut or lies on something else."""
from __future__ import annotations

import base64
import io
import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from tolerance import assert_close

import nobackprop as nb
from nobackprop import figures
from nobackprop.errors import InputError
from nobackprop.pictures import frame, learning, neurons, products
from nobackprop.pictures.film import Film

X = np.linspace(-3, 3, 31)
TARGET = np.tanh(X + 1) - np.tanh(X - 1)
COURSE = [{"loss": 1 / (k + 1), "v": np.array([np.cos(k / 9), np.sin(k / 9)]), "b": np.array([0.5, 0.9]),
           "y": TARGET * k / 20} for k in range(20)]
RUNS = {"backpropagation": COURSE, "random feedback": COURSE[:15], "no feedback": COURSE[:2] * 10}
SMALL = np.arange(12.0).reshape(3, 4)


def outcome():
    """A comparison of four rules on three seeds, made up."""
    from nobackprop.experiments.outcome import Outcome
    runs = [{"rule": rule, "seed": seed, "test_accuracy": accuracy - seed / 50, "history": []}
            for rule, accuracy in (("bp", 1.0), ("shallow", 0.9), ("dfa", 0.95), ("./winner.py:Winner", 0.5))
            for seed in range(3)]
    return Outcome({"config": {}, "runs": runs})


class Ended:
    """A run as `learning.courses` sees it."""

    def __init__(self, level, epochs=9):
        self.history = nb.learn.History({"epoch": k, "validation_accuracy": level * k / epochs, "train_loss": 0.1,
                                         "alignment_at_a": [None if level < 0.5 else level * k / epochs, 1.0]}
                                        for k in range(1, epochs + 1))


def ended(**levels):
    """Runs that have ended at these levels of accuracy, by the names of their rules."""
    return {name.replace("_", " "): Ended(level) for name, level in levels.items()}


PICTURES = {
    "one neuron": lambda: neurons.network(), "feedback": lambda: neurons.network(feedback=True),
    "two neurons": lambda: neurons.network(2), "two and feedback": lambda: neurons.network(2, feedback=True),
    "courses": lambda: neurons.courses({"backpropagation": np.array([[1.0, 0.1], [0, 1], [0.5, 1]]),
                                        "b = +1": np.array([[1.0, 0.1], [0, 1], [0.5, 1]]),
                                        "b = -1": np.array([[1.0, 0.0], [0, -1], [0.5, -1]])}),
    "fits": lambda: neurons.fits(X, TARGET, RUNS),
    "first frame": lambda: neurons.turning(X, TARGET, COURSE).figures[0],
    "last frame": lambda: neurons.turning(X, TARGET, COURSE).figures[-1],
    "product": lambda: products.product(SMALL, SMALL.T, ("U: 3 samples", "W.T", "outputs"), at=(1, 2)),
    "patches": lambda: products.patches(np.arange(16.0).reshape(4, 4), 2, at=(2, 2)),
    "coverage": lambda: products.coverage((4, 5), 2),
    "images": lambda: learning.images(np.zeros((10, 8, 8, 1)), range(10)),
    "alike": lambda: learning.courses(ended(bp=0.95, shallow=0.952, fa=0.954, dfa=0.956, las=0.958, ltas=0.96)),
    "apart": lambda: learning.courses(ended(bp=1.0, shallow=0.3, a_rule_with_a_long_name=0.6)),
    "accuracies": lambda: learning.accuracies(outcome(), "Digits: the rule is below the floor"),
    "answers": lambda: learning.answers(np.arange(40.0) * 10, np.arange(40.0)[::-1] * 10, "progression after a year"),
}


@pytest.fixture(params=PICTURES, scope="module")
def picture(request) -> Figure:
    return PICTURES[request.param]()  # made once for all that is asked of it


def texts(figure: Figure):
    """The texts that are seen, each with the box in which it stands."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for axes in figure.axes:
        ticks = [label for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()] if axes.axison else []
        inside = [label for label in ticks if label.get_visible() and _seen(axes, label)]
        for text in [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *inside]:
            if text.get_text().strip() and (axes.axison or text in axes.texts or text is axes.title):
                yield text.get_text(), text.get_window_extent(renderer)


def _seen(axes, label):
    """Whether a tick lies within the limits of its axis: matplotlib draws no other ones."""
    x, y = label.get_position()
    (x0, x1), (y0, y1) = (sorted(limits) for limits in (axes.get_xlim(), axes.get_ylim()))
    return x0 <= x <= x1 if label in axes.xaxis.get_ticklabels() else y0 <= y <= y1


def overlap(a, b, slack=1.0):
    return min(a.x1, b.x1) - max(a.x0, b.x0) > slack and min(a.y1, b.y1) - max(a.y0, b.y0) > slack


def test_no_text_is_cut_or_lies_on_another(picture):
    found = list(texts(picture))
    assert found
    for text, box in found:
        assert box.x0 >= -1 and box.y0 >= -1, text
        assert box.x1 <= picture.bbox.x1 + 1 and box.y1 <= picture.bbox.y1 + 1, text
    for (one, a), (other, b) in itertools.combinations(found, 2):
        assert not overlap(a, b), f"{one!r} lies on {other!r}"


def test_it_shows_itself_in_a_notebook(picture):
    with Image.open(io.BytesIO(picture._repr_png_())) as image:
        assert np.abs(np.array(image.size) - picture.get_size_inches() * frame.DPI).max() <= 1
        assert len(np.unique(np.asarray(image.convert("L")))) > 5


def test_every_panel_shows_something(picture):
    for axes in picture.axes:
        assert axes.lines or axes.patches or axes.images or axes.texts


def test_no_more_than_eight_lines_in_a_panel(picture):
    assert all(len(axes.lines) <= 8 for axes in picture.axes)


# ---------------------------------------------------------------- what is drawn is what came


def test_a_product_is_drawn_with_its_numbers():
    drawn = products.product(SMALL, SMALL.T, at=(1, 2))
    numbers = [[float(text.get_text()) for text in axes.texts if text.get_text() not in ("·", "=", "")]
               for axes in drawn.axes]
    assert numbers == [SMALL.ravel().tolist(), SMALL.T.ravel().tolist(), (SMALL @ SMALL.T).ravel().tolist()]
    marked = [[i for i, patch in enumerate(axes.patches) if patch.get_facecolor()[3]] for axes in drawn.axes]
    assert marked == [[4, 5, 6, 7], [2, 5, 8, 11], [5]]


@pytest.mark.parametrize("at", [(0, 0), (1, 2), (2, 1)])
def test_the_patch_that_is_framed_is_the_row_that_is_marked(at):
    image = np.arange(16.0).reshape(4, 4)
    left, right = products.patches(image, 2, at).axes
    row = 3 * at[0] + at[1]
    numbers = np.array([float(text.get_text()) for text in right.texts]).reshape(9, 4)
    assert numbers[row].tolist() == image[at[0]:at[0] + 2, at[1]:at[1] + 2].ravel().tolist()
    assert left.patches[-1].get_xy() == (at[1], at[0]) and right.patches[-1].get_xy() == (0, row)


def test_coverage_counts_the_patches_of_a_pixel():
    numbers = np.array([int(text.get_text()) for text in products.coverage((4, 5), 3).axes[0].texts]).reshape(4, 5)
    counted = np.zeros((4, 5), int)
    for i, j in itertools.product(range(2), range(3)):
        counted[i:i + 3, j:j + 3] += 1
    assert numbers.tolist() == counted.tolist()


def test_the_best_rule_is_on_top():
    names = [label.get_text() for label in learning.accuracies(outcome()).axes[0].get_yticklabels()]
    assert names == ["Winner", "shallow (floor)", "dfa", "bp (ceiling)"]


def test_a_rule_that_sends_no_error_to_the_first_block_has_no_line_there():
    left, right = learning.courses(ended(bp=1.0, shallow=0.3)).axes
    assert [len(axes.lines) for axes in (left, right)] == [2, 1]


def test_curves_of_a_regression_have_its_measure():
    data = nb.data.load("diabetes")
    net = nb.models.build("mlp:4", data.shape, data.classes, "tanh", data.loss)
    run = nb.fit(net, "dfa", data, nb.Settings(epochs=2), seed=0)
    left = learning.courses({"dfa": run}).axes[0]
    assert left.lines[0].get_ydata().tolist() == run.history.column("validation_r2")


# ---------------------------------------------------------------- films


def test_a_film_holds_its_frames_and_shows_the_last():
    film = neurons.turning(X, TARGET, COURSE, frames=6)
    html = film._repr_html_()
    shown = re.findall(r'style="display:(\w+)" src="data:image/png;base64,([^"]+)"', html)
    assert [display for display, _ in shown] == ["none"] * (len(film.figures) - 1) + ["block"]
    sizes = set()
    for _, text in shown:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            sizes.add(image.size)
    assert len(sizes) == 1 and len({text for _, text in shown}) == len(film.figures)
    assert f'max="{len(film.figures) - 1}"' in html and not re.search(r"https?:|<script|<link", html)
    assert len(html) < 300_000


def test_a_film_has_the_first_and_the_last_step_and_its_words_say_the_angle():
    film = neurons.turning(X, TARGET, COURSE, frames=5)
    titles = [figure.axes[0].get_title() for figure in film.figures]
    assert titles[0].startswith("Step 0:") and titles[-1].startswith("Step 19:")
    assert titles == sorted(titles, key=lambda title: int(re.search(r"\d+", title)[0]))
    assert repr(film) == f"Film of {len(titles)} frames: the arrow v turns from 61 to 60 degrees away from b"


# ---------------------------------------------------------------- labels that are moved apart


@given(places=st.lists(st.floats(-1, 2), min_size=1, max_size=8))
def test_labels_are_apart_in_order_and_in_the_panel(places):
    least = 0.1
    found = figures.apart(places, least)
    order = np.argsort(places, kind="stable")
    assert np.diff(np.array(found)[order]).min(initial=least) >= least - 1e-9
    assert min(found) >= 0.02 - 1e-9 and max(found) <= 0.98 + 1e-9


@given(places=st.lists(st.floats(0.05, 0.95), min_size=1, max_size=8, unique=True))
def test_labels_that_are_apart_stay(places):
    least = np.diff(np.sort(places)).min(initial=0.1) / 2
    assert_close(np.array(figures.apart(places, least)), np.array(places))


# ---------------------------------------------------------------- what does not fit is said


@pytest.mark.parametrize(("call", "says"), [
    (lambda: neurons.network(3), "hidden must be at most 2, got 3"),
    (lambda: neurons.turning(X, TARGET, [{"v": np.ones(3), "b": np.ones(3), "y": X}]), "two numbers each"),
    (lambda: products.product(SMALL, SMALL), r"have no product: their shapes are \(3, 4\) and \(3, 4\)"),
    (lambda: products.product(SMALL, SMALL.T, at=(3, 0)), "the row at which to mark must be at most 2, got 3"),
    (lambda: products.product(np.ones((13, 2)), np.ones((2, 2))), "too large to be read"),
    (lambda: products.patches(SMALL, 2, at=(2, 0)), "the row of the patch must be at most 1, got 2"),
    (lambda: learning.images(np.zeros((2, 8, 8, 3)), [1, 2]), "expected grey images"),
    (lambda: learning.images(np.zeros((2, 8, 8)), [1]), "got .* and 1 labels"),
    (lambda: learning.answers(X, X[1:]), "got 30 answers and 31 targets"),
    (lambda: Film([], "nothing"), "expected one frame at least"),
])
def test_what_does_not_fit_is_said_in_a_sentence(call, says):
    with pytest.raises(InputError, match=says):
        call()
