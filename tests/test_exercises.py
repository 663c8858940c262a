"""The exercises: the stored solution is right, likely mistakes are named, and all else is said in a sentence."""
from __future__ import annotations

import ast
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nobackprop import exercises
from nobackprop.errors import InputError
from nobackprop.exercises import Exercise, Mistake, marking
from nobackprop.exercises.marking import SEEDS, mark, parts, same
from nobackprop.tree import tree_map

FAR = 100 * marking.SAME  # of the largest number, and more than any rounding
ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ALL = list(exercises._all().values())
WRONG = [pytest.param(exercise, mistake, id=f"{exercise.name}-{mistake.name}")
         for exercise in ALL for mistake in exercise.wrong]


@pytest.fixture(params=ALL, ids=exercises.names())
def exercise(request) -> Exercise:
    return request.param


def solved(exercise: Exercise, source: str = ""):
    """What a reader would hand in who has typed this source, or the stored solution."""
    return exercise.run(source or exercise.source, exercise.given(0))


def changed(exercise: Exercise, change):
    """The stored solution, with a change to each of its arrays."""
    found = solved(exercise)
    if not exercise.is_function:
        return tree_map(change, found)
    return lambda *inputs: tree_map(change, found(*inputs))


def test_the_stored_solution_is_right(exercise):
    verdict = exercises.check(exercise.name, solved(exercise))
    assert verdict.right and not verdict.mistake, verdict
    assert repr(verdict) == verdict.says and verdict.says in verdict._repr_markdown_()


@pytest.mark.parametrize(("exercise", "mistake"), WRONG)
def test_a_likely_mistake_is_recognised_and_named(exercise, mistake):
    verdict = exercises.check(exercise.name, solved(exercise, mistake.source))
    assert (verdict.right, verdict.mistake) == (False, mistake.name)
    assert mistake.says in verdict.says
    assert mistake.says.rstrip(")`$")[-1] in ".?"


def test_no_mistake_coincides_with_the_right_answer_or_with_another(exercise):
    """On the inputs of every seed that is used, so a lucky draw cannot hide a mistake."""
    assert exercise.wrong, "the likely mistakes are what a reader learns from"
    for seed in SEEDS if exercise.is_function else SEEDS[:1]:
        values = {"right": parts(exercise.right_value(seed))}
        values |= {mistake.name: parts(exercise.value(mistake.source, seed)) for mistake in exercise.wrong}
        assert len(values) == 1 + len(exercise.wrong), "two mistakes of one name"
        for (a, u), (b, v) in itertools.combinations(values.items(), 2):
            assert not same(u, v, FAR), f"{a} and {b}"
        assert all(np.isfinite(array).all() for value in values.values() for array in value.values())


@pytest.mark.parametrize("size", [0.37, 1e3])
def test_what_is_wrong_in_no_known_way_gets_size_and_place(exercise, size):
    def change(array):
        array = np.array(array, "float64")
        array.flat[-1] += size
        return array

    verdict = exercises.check(exercise.name, changed(exercise, change))
    assert not verdict.right and not verdict.mistake
    assert f"{size:.2g}" in verdict.says
    first = next(iter(parts(exercise.right_value(0)).values()))
    last = [side - 1 for side in first.shape]
    where = {0: "", 1: "entry {}", 2: "row {}, column {}"}.get(first.ndim, f"{last}").format(*last)
    assert where in verdict.says, verdict


def test_a_factor_is_said(exercise):
    if all(not np.any(array) for array in parts(exercise.right_value(0)).values()):
        return
    verdict = exercises.check(exercise.name, changed(exercise, lambda array: 7.0 * array))
    assert "7 times the right one" in verdict.says


def test_a_hole_is_not_written_yet(exercise):
    for hole in (None, ..., *((lambda *inputs: None, lambda *inputs: ...) if exercise.is_function else ())):
        verdict = exercises.check(exercise.name, hole)
        assert not verdict.right and verdict.says == f"Not written yet. {exercise.ask}"


def test_the_wrong_type_shape_and_numbers_are_said_in_a_sentence(exercise):
    def check(value):
        answer = (lambda *inputs: value) if exercise.is_function else value
        verdict = exercises.check(exercise.name, answer)
        assert not verdict.right and not verdict.mistake and "\n" not in verdict.says
        assert verdict.says.startswith("Your ") and verdict.says.endswith(".")
        return verdict.says

    for value in ("abc", object(), ["abc"], {"a": "b"}, np.zeros((1, 2, 3, 4, 5, 6))):
        assert ", expected " in check(value)
    right = exercise.right_value(0)
    assert "NaN" in check(tree_map(lambda array: np.full_like(np.asarray(array, "float64"), np.nan), right))
    assert "infinity" in check(tree_map(lambda array: np.full_like(np.asarray(array, "float64"), np.inf), right))


def test_the_other_kind_of_answer_is_refused(exercise):
    if exercise.is_function:
        wanted = f"expected a function of ({', '.join(exercise.arguments)})."
        says = exercises.check(exercise.name, np.ones(2)).says
        assert says == f"Your answer is an array of shape (2,), {wanted}"
        names = ", ".join(f"a{i}" for i in range(len(exercise.arguments) + 1))
        says = exercises.check(exercise.name, eval(f"lambda {names}: 0")).says
        assert says == f"Your answer is a function of ({names}), {wanted}"
        says = exercises.check(exercise.name, lambda *inputs: 1 / 0).says
        assert says.startswith("Your function stops with ZeroDivisionError: division by zero. Of its arguments, ")
    else:
        assert exercises.check(exercise.name, abs).says.startswith("Your answer is a function, expected ")


def test_an_answer_that_changes_its_inputs_harms_nobody(exercise):
    if not exercise.is_function:
        return
    before = exercise.right_value(0)

    def spoil(*inputs):
        for one in inputs:
            tree_map(lambda array: array.fill(0) if isinstance(array, np.ndarray) else None, one)

    exercises.check(exercise.name, spoil)
    assert same(parts(exercise.right_value(0)), parts(before), 0)
    assert exercises.check(exercise.name, solved(exercise)).right


def test_hints_and_solution_are_shown_folded(exercise):
    assert exercise.hints, "one hint at least"
    for n, text in enumerate(exercise.hints, start=1):
        shown = exercises.hint(exercise.name, n)
        assert text in repr(shown) and f"Hint {n} of {len(exercise.hints)}" in shown._repr_html_()
    with pytest.raises(InputError, match="must be at most"):
        exercises.hint(exercise.name, len(exercise.hints) + 1)
    shown = exercises.solution(exercise.name)
    assert exercise.text in repr(shown)
    assert shown._repr_html_().startswith("<details><summary>Solution</summary><pre>")
    ast.parse(exercise.text)


def test_sentences_are_whole(exercise):
    for text in (exercise.ask, *exercise.hints):
        assert text.strip() == text and text.rstrip("`$)")[-1] in ".?:", text
    assert exercise.given(0).keys() == exercise.given(1).keys()


def test_an_unknown_exercise_is_named():
    for call in (exercises.check, exercises.hint, exercises.solution, exercises.given):
        with pytest.raises(InputError, match="unknown exercise 'kernels:oter': did you mean 'kernels:outer'"):
            call(*["kernels:oter", None][:2 if call is exercises.check else 1])


def test_importing_the_library_brings_neither_exercises_nor_pictures():
    script = ("import sys, nobackprop; print([name for name in sys.modules if name.startswith(('nobackprop.exercises', "
              "'nobackprop.pictures', 'matplotlib'))])")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


# ---------------------------------------------------------------- marking, on exercises made here

PAIR = Exercise("pair", "Write both.", "def answer(x): return [x, 2 * x]", lambda seed: {"x": np.arange(1.0, 4) + seed},
                right=lambda x: [x, x + x], part="module", what="gradient",
                wrong=(Mistake("sign", "def answer(x): return [x, -2 * x]", "Is the sign right?"),))
NUMBER = Exercise("number", "Write the number.", "answer = 2 * x", lambda seed: {"x": 1.5}, right=lambda x: 3.0)


def test_a_part_of_a_list_is_named():
    assert mark(PAIR, lambda x: [x, -2 * x]) == marking.Verdict(
        False, "Not yet: your gradient is off by up to 12 in module 2, at entry 2. Is the sign right?", "sign")
    assert mark(PAIR, lambda x: (x, 2 * x)).right and mark(PAIR, lambda x: np.array([x, 2 * x])).right
    assert mark(PAIR, lambda x: [x]).says == "Your gradient is a list of 1, expected a list of 2."
    assert mark(PAIR, lambda x: [x, x[:2]]).says == "Your gradient in module 2 has the shape (2,), expected (3,)."


def test_parts_may_be_handed_in_one_by_one(monkeypatch):
    both = Exercise("both", "Write both.", "answer = [x, 2 * x]", lambda seed: {"x": np.ones(2)},
                    right=lambda x: [x, x + x])
    monkeypatch.setattr(exercises, "_all", lambda: {"both": both})
    assert exercises.check("both", np.ones(2), 2 * np.ones(2)).right


def test_a_mistake_on_one_seed_alone_is_not_the_mistake():
    """An answer that is right on the first inputs by chance, and wrong on others, is wrong."""
    assert not mark(PAIR, lambda x: [x, 2 * x if x[0] == 1 else 0 * x]).right
    assert not mark(PAIR, lambda x: [x, -2 * x if x[0] == 1 else 0 * x]).mistake


@pytest.mark.parametrize("value", [3, 3.0, np.float32(3), np.array(3.0), 3.00001])
def test_a_number_of_any_type_is_right(value):
    assert mark(NUMBER, value).right


@pytest.mark.parametrize(("value", "says"), [
    ("3", "Your answer is '3', expected a number."),
    ([3, 3], "Your answer has the shape (2,), expected ()."),
    (4, "Not yet: your answer is off by 1 (it came as 1.33 times the right one)."),
    (3 + 1j, "Your answer is (3+1j), expected a number."),
    (float("nan"), "Your answer has NaN in it."),
])
def test_what_is_no_such_number_is_said(value, says):
    assert mark(NUMBER, value).says == says


def test_two_exercises_of_one_name_are_refused(monkeypatch):
    from nobackprop.exercises import kernels
    monkeypatch.setattr(kernels, "EXERCISES", kernels.EXERCISES * 2)
    with pytest.raises(ValueError, match=f"two exercises have the name {kernels.EXERCISES[0].name}"):
        exercises._all.__wrapped__()


# ---------------------------------------------------------------- in the notebooks

def cells(path: Path) -> list[str]:
    """The code cells of a notebook."""
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def asked(path: Path) -> list[str]:
    """The exercises that a notebook checks, in order."""
    return re.findall(r'exercises\.check\("([^"]+)"', "\n".join(cells(path)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_three_to_six_exercises(path):
    found = asked(path)
    assert 3 <= len(found) <= 6 and len(set(found)) == len(found)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_hole_with_a_hint_and_a_solution_stands_behind_each_question(path):
    """The hole is open, so the notebook runs with it; the hint and the solution have cells of their own."""
    code = cells(path)
    for name in asked(path):
        hole, hint, solution = code[(at := next(i for i, one in enumerate(code) if f'check("{name}"' in one)):at + 3]
        assert re.search(r"^(def answer\(.*\):|answer = \.\.\.)", hole, re.MULTILINE) and "..." in hole, name
        assert hole.splitlines()[-1].startswith("exercises.check("), name
        assert hint == f'exercises.hint("{name}")' and solution == f'exercises.solution("{name}")'


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_hole_names_its_arguments_as_the_solution_does(path):
    for one in cells(path):
        for name in re.findall(r'exercises\.check\("([^"]+)"', one):
            typed = re.search(r"^def answer\((.*)\):", one, re.MULTILINE)
            assert (typed[1].split(", ") if typed else []) == exercises._all()[name].arguments


def test_every_exercise_stands_in_one_notebook():
    found = [name for path in NOTEBOOKS for name in asked(path)]
    assert sorted(found) == sorted(exercises.names())
