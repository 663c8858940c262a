"""Results of every table and figure, made up: of the form that a run writes, in a moment and without data."""
from __future__ import annotations

import json
from typing import Any

import numpy as np

from nobackprop.experiments.papers import EXHIBITS
from nobackprop.experiments.papers.al import PRINTED_LOSSES


def without_seconds(found: Any) -> str:
    """Results, or a part of them, as text: without the seconds, the one thing in which two equal runs differ."""
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(child) for key, child in value.items() if key != "seconds"}
        return [without(child) for child in value] if isinstance(value, list) else value
    return json.dumps(without(found), sort_keys=True)


def exhibit_results(name: str, seeds: tuple[int, ...] = (0, 1), epochs: int = 2) -> dict[str, Any]:
    """Results of the table or figure of that name: numbers drawn at random, all keys of its form there."""
    exhibit, rng = EXHIBITS[name], np.random.default_rng(0)
    runs = [{"rule": arm.label, "seed": seed, "parameters": 10, "seconds": 1.5, "test_accuracy": rng.random(),
             "history": [_record(name, arm.label, epoch, epoch == epochs, rng) for epoch in range(1, epochs + 1)]}
            for arm in exhibit.arms for seed in seeds]
    return {"config": {"data": exhibit.data, "model": "mlp:8,8", "exhibit": name, "scale": "smoke",
                       "seeds": list(seeds), "rules": [arm.label for arm in exhibit.arms],
                       "printed": {arm.label: arm.printed for arm in exhibit.arms}},
            "environment": {"dataset": exhibit.data, "threads": 1}, "runs": runs}


def _record(name: str, label: str, epoch: int, last: bool, rng: np.random.Generator) -> dict[str, Any]:
    record: dict[str, Any] = {
        "epoch": epoch, "train_loss": 1 / epoch, "validation_accuracy": rng.random(),
        "alignment": [rng.random(), None], "alignment_at_a": [None, rng.random()]}
    if name == "asap:table-3.1" and label.startswith("foa"):
        record["angles"] = (90 * rng.random(3)).tolist()
    if name == "al:table-5":
        count = len(PRINTED_LOSSES[label])
        record |= {"associated": (1e-3 * rng.random(count)).tolist(), "autoencoder": rng.random(count).tolist()}
    if name == "al:table-6":
        record["training_accuracy"] = rng.random()
    if name.startswith("al:table-7"):
        record |= {"inter": 10 * rng.random(), "intra": rng.random()}
    if name == "asap:figure-6.1":
        record |= {"accesses": int(rng.integers(10**6, 10**8)), "accesses_both_sets": int(rng.integers(10**6, 10**8))}
    if name in ("al:figure-5", "al:figure-6") and last:
        record |= {"labels": rng.integers(10, size=30).tolist(), "points": rng.normal(size=(4, 30, 2)).tolist()}
    return record
