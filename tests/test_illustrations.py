"""What the widgets of the pages of theory show: measured on the library, next to what the theorems say."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close

from nobackprop.errors import InputError
from nobackprop.studies.illustrations import conserved, conveyor, forgetting, module_sign


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.95, 1.05, 1.5])
def test_the_module_follows_the_power_of_the_theorem_with_either_sign(rate, seed):
    found = module_sign(rate, seed)
    for name in ("descends", "printed"):
        assert_close(np.array(found[name]), np.array(found[f"said_{name}"]))
        assert found[name][0] == 1
    assert found["printed"][-1] > 1
    assert found["eta"] == rate * found["bound"]
    tail = found["descends"][-1] / found["descends"][-2]
    assert tail < 1 if rate < 1 else tail > 1


def test_the_invariant_stays_the_better_the_smaller_the_step_is():
    course = {eta: conserved(eta) for eta in (0.002, 0.02, 0.1)}
    drift = [found["K"][-1] for found in course.values()]
    assert drift[0] < drift[1] < drift[2] and drift[0] < 0.01
    for found in course.values():
        assert found["K"][0] == found["weights"][0] == 0 and found["loss"][0] == 1
        assert found["weights"][-1] > 0.5 and found["loss"][-1] < 0.1
    # the drift is that of Euler's steps: proportional to the step
    assert 5 < drift[1] / drift[0] < 20


def test_below_the_safe_rate_every_step_descends():
    safe = conserved(0.01)["safe"]
    losses = conserved(safe)["loss"]
    assert all(b < a for a, b in zip(losses, losses[1:]))


@given(a=st.floats(0.01, 3.9), seed=st.integers(0, 9))
def test_weights_and_feedback_meet_as_the_recurrences_say(a, seed):
    found = forgetting(a, seed)
    for name in ("sgd", "momentum", "nesterov"):
        shown = min(len(found[name]), len(found["said"][name]))
        measured, said = np.array(found[name][:shown]), np.array(found["said"][name][:shown])
        # what cancels in W - B is as large as W and B themselves
        assert_close(measured, said, of=[10.0, max(said)])


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_the_bounds_divide_what_shrinks_from_what_grows(name):
    bound = forgetting(1)["bounds"][name]
    below, above = forgetting(0.97 * bound)[name], forgetting(1.03 * bound)[name]
    assert max(below[-4:]) < max(below[2:6]) and max(above[-4:]) > max(above[2:6])


@given(batches=st.integers(1, 12), costs=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_the_last_worker_ends_when_the_makespan_says(batches, costs):
    found = conveyor(batches, costs)
    assert found["spans"][-1][-1][1] == found["makespan"] and found["alone"] == batches * sum(costs)
    for worker, (mine, cost) in enumerate(zip(found["spans"], costs)):
        for i, (begin, end) in enumerate(mine):
            assert end - begin == cost
            before = [mine[i - 1][1]] * (i > 0) + [found["spans"][worker - 1][i][1]] * (worker > 0)
            assert begin == max(before, default=0)  # not before both, and not later


def test_a_mistake_is_one_sentence():
    for call in (lambda: module_sign(0), lambda: conserved(-1), lambda: forgetting(float("nan")),
                 lambda: conveyor(0, [1]), lambda: conveyor(2, [0])):
        with pytest.raises(InputError, match="must be|expected"):
            call()
