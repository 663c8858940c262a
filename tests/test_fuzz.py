"""The targets of the fuzzer, run on what it begins with: they work, and valid files are read."""
from __future__ import annotations

import json
import random

import pytest
from fuzz import targets

from nobackprop.errors import InputError


@pytest.mark.parametrize("name", [name for name in targets.TARGETS if name != "results"])
def test_most_of_what_fuzzing_begins_with_is_valid(tmp_path, monkeypatch, name):
    monkeypatch.setattr(targets.origin, "LARGEST", targets.origin.LARGEST)  # a target lowers it
    target, read = targets.TARGETS[name], 0
    seeds = target.seeds(tmp_path)
    for content in seeds:
        try:
            target.run(tmp_path, content)
            read += 1
        except InputError as error:
            assert "\n" not in str(error)
    assert read >= 0.4 * len(seeds)


@pytest.mark.slow
def test_a_stored_result_is_drawn_and_a_changed_one_is_json(tmp_path):
    seeds = targets.results_seeds(tmp_path)
    targets.results_file(tmp_path, min(seeds, key=len))
    changed = {targets.mutate_results(seeds[0], random.Random(seed)) for seed in range(50)}
    assert len(changed) > 45 and all(isinstance(json.loads(content), dict) for content in changed)
