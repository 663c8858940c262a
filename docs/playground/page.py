"""What the worker of the page asks for: runs of nobackprop itself, told as JSON.  Nothing is computed elsewhere."""
import json
from dataclasses import fields

import numpy as np

import nobackprop as nb
from nobackprop.settings import NetworkSettings, Settings, choose, suited
from nobackprop.studies.turning import angle, pairs

GRID = 56  # squares of the map, in each direction
SHOWN = 400  # points that are drawn at most
DIGITS = 40  # images that are shown
WIDEST = 32  # rows and columns of a matrix that are shown
RANGE = 2.5  # of the plane in which points are drawn by hand

runs = {}
loaded = {}


def data_of(config):
    """The data set that a configuration names."""
    if config["task"] != "points":
        if config["task"] not in loaded:
            loaded[config["task"]] = nb.data.load(config["task"])
        return loaded[config["task"]]
    x, y = points_of(config["points"])
    return nb.data.from_arrays("points", x, y, x, y, validation=0.25)


def points_of(text):
    """Points that were drawn by hand: five figures a point, its class, and its place on a grid of 100 x 100."""
    rows = [text[i:i + 5] for i in range(0, len(text) - 4, 5)]
    x = [[(int(row[1:3]) - 50) / 20, (int(row[3:5]) - 50) / 20] for row in rows]
    known = sorted({row[0] for row in rows})
    if len(known) < 2 or min(sum(row[0] == label for row in rows) for label in known) < 4:
        raise nb.InputError("draw at least 4 points of each of two classes")
    return x, [known.index(row[0]) for row in rows]


def chosen(config):
    """The settings: what the form says, and else what suits the task and the rule."""
    given = {key: config[key] for key in ("model", "activation", "lr") if config.get(key) not in (None, "")}
    usual = "circles" if config["task"] == "points" else config["task"]
    return suited(usual, nb.rules.get(config["rule"]), given)


def start(side, text):
    """Begin a run, and say all that stays the same while it learns."""
    config = json.loads(text)
    runs.pop(side, None)
    data, settings = data_of(config), chosen(config)
    net = nb.models.build(settings["model"], data.shape, data.classes, settings["activation"], settings["loss"])
    run = nb.Run(net, config["rule"], data, choose(Settings, settings), int(config["seed"]))
    runs[side] = run, config, settings
    plane, shown = data.shape == (2,), slice(SHOWN)
    raw = data.x_train[shown] * data.scale + data.mean if plane else None
    reach = RANGE if config["task"] == "points" else float(1.06 * np.abs(raw).max()) if plane else None
    return json.dumps({
        "classes": data.classes, "blocks": len(net), "samples": len(data.y_train), "settings": settings,
        "parameters": nb.metrics.size(run.params), "range": reach,
        "points": np.round(raw, 3).tolist() if plane else None, "labels": data.y_train[shown].tolist(),
        "images": images(data) if not plane else None, "view": picture(run, reach)})


def images(data):
    """The first validation images, from 0 to 255, with their classes."""
    raw = data.x_validation[:DIGITS] * data.scale + data.mean
    return {"size": data.shape[0], "labels": data.y_validation[:DIGITS].tolist(),
            "pixels": np.round(raw / raw.max() * 255).astype(int).reshape(len(raw), -1).tolist()}


def epoch(side):
    """Learn for one epoch, and return its record."""
    return json.dumps(runs[side][0].epoch())


def view(side):
    """What can be drawn of a run as it is now."""
    run, config, _ = runs[side]
    reach = None
    if run.data.shape == (2,):
        raw = run.data.x_train[:SHOWN] * run.data.scale + run.data.mean
        reach = RANGE if config["task"] == "points" else float(1.06 * np.abs(raw).max())
    return json.dumps(picture(run, reach))


def picture(run, reach):
    """The answers on a map of the plane or for images, and the pairs of matrices with the angles between them."""
    if reach is not None:
        line = np.linspace(-reach, reach, GRID)
        x = run.data.prepare(np.stack(np.meshgrid(line, line[::-1]), -1).reshape(-1, 2))
    else:
        x = run.data.x_validation[:DIGITS]
    out = np.nan_to_num(run.rule.predict(run.net, run.params, x.astype(run.settings.dtype)))
    ordered = np.sort(out, -1)
    sure = np.tanh(ordered[:, -1] - ordered[:, -2])
    return {"answers": out.argmax(-1).tolist(), "sure": np.round(255 * sure).astype(int).tolist(), "grid": GRID,
            "pairs": [{"block": pair.block, "direct": pair.direct, "angle": degrees(pair), "W": shown(pair.W),
                       "B": shown(pair.B)} for pair in pairs(run.rule, run.params, run.state)]}


def degrees(pair):
    """The angle between the matrices of a pair; None if one of them is zero."""
    found = angle(pair.W.astype("float64"), pair.B.astype("float64")) if pair.W.any() and pair.B.any() else None
    return found


def shown(matrix):
    """The corner of a matrix that is drawn, from -100 to 100, and its size."""
    part = matrix[:WIDEST, :WIDEST]
    largest = np.abs(part).max() or 1.0
    return {"rows": len(part), "columns": part.shape[1], "of": list(matrix.shape),
            "values": np.round(100 * part / largest).astype(int).reshape(-1).tolist()}


def finish(side):
    """The accuracy on the test set, which nothing reads before."""
    return json.dumps(runs[side][0].test_accuracy())


def history(side):
    """All records so far, as they are."""
    return json.dumps(list(runs[side][0].history))


def python(side):
    """The lines that reproduce a run with the installed package, as far as it has come."""
    run, config, settings = runs[side]
    usual = {field.name: field.default for group in (Settings, NetworkSettings) for field in fields(group)}
    given = {"epochs": max(len(run.history), 1), **{key: settings[key] for key in usual if hasattr(run.settings, key)
                                                    and key != "epochs" and settings[key] != usual[key]}}
    lines = ["import nobackprop as nb", ""]
    if config["task"] == "points":
        x, y = points_of(config["points"])
        lines += [f"x = {x}", f"y = {y}", 'data = nb.data.from_arrays("points", x, y, x, y, validation=0.25)']
    else:
        lines += [f'data = nb.data.load("{config["task"]}")']
    lines += [f'net = nb.models.build("{settings["model"]}", data.shape, data.classes, "{settings["activation"]}", '
              f'"{settings["loss"]}")',
              f"settings = nb.Settings({', '.join(f'{key}={value!r}' for key, value in given.items())})",
              f'run = nb.fit(net, "{config["rule"]}", data, settings, seed={config["seed"]})',
              "print(run.history[-1])"]
    return "\n".join(lines) + "\n"
