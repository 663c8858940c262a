"""What the worker of the page asks for: runs of nobackprop itself, told as JSON.  Nothing is computed elsewhere."""
import json
import re
import textwrap
from dataclasses import fields

import numpy as np

import nobackprop as nb
from nobackprop.errors import brief, check_name, integer, number
from nobackprop.experiments.results import strict
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.models import MODELS
from nobackprop.models.dense import sizes
from nobackprop.settings import NetworkSettings, Settings, choose, suited
from nobackprop.studies.turning import angle, pairs

GRID = 56  # squares of the map, in each direction
SHOWN = 400  # points that are drawn at most
DIGITS = 40  # images that are shown
WIDEST = 32  # rows and columns of a matrix that are shown
RANGE = 2.5  # of the plane in which points are drawn by hand
UNITS, LAYERS = 512, 12  # of a fully connected network that a page can follow
LONGEST = 100_000  # epochs that a link can ask for
TASKS = ("spirals", "circles", "quadrants", "digits", "points")
VECTORS = ("mlp", "mlp-bn")  # the networks that take points of a plane
# what a link says if it leaves something out; a link is all that the page remembers
USUAL = {"rule": "las", "rule2": "", "task": "spirals", "model": "", "activation": "", "lr": "", "seed": "0",
         "epochs": "0", "points": ""}
# the default settings of this rule hardly learn the plane's tasks: through one hidden layer it does
SUITED = {"ep": {"model": "mlp:64"}}
# the rules that amplify rounding: if each weight moves by one part in 10 million before the first step, the loss of the
# tenth epoch of spirals moves by more than one part in 10,000; under every other rule by less than one in 30,000.
# So no two processors give the same numbers; tests/test_playground_page.py measures it
AMPLIFY = ("usf", "bdfa", "ep")

runs = {}
loaded = {}


def told(value):
    """A value as JSON; a number that is not finite, which JSON does not have, becomes null."""
    return json.dumps(strict(value), allow_nan=False)


# ---------------------------------------------------------------- what the address says


def understood(text):
    """What the parts of a link say, and a sentence for each part that says nothing.

    What stands in a field of text is kept as it is: `start` checks it, as it checks what is typed.
    """
    state, faults, seen = dict(USUAL), [], set()
    for key, value in json.loads(text):
        try:
            check_name("part of a link", key, USUAL)
            state[key] = part(key, value)
        except nb.InputError as error:
            kept = f"; the page takes '{USUAL[key]}'" if USUAL.get(key) else ""
            faults.append(f"{brief(key)[1:-1]}={brief(value)[1:-1]}: {error}{kept}.")
        if key in seen:
            faults.append(f"{brief(key)[1:-1]} stands twice in the link; the last one holds.")
        seen.add(key)
    return told({"state": state, "faults": faults})


def part(key, value):
    """One part of a link, checked if no field of the page can hold a wrong one."""
    known = {"rule": nb.rules.RULES, "rule2": nb.rules.RULES, "task": TASKS, "activation": ACTIVATIONS}
    if key in known and value != USUAL[key]:
        check_name(key.rstrip("2"), value, known[key])
    elif key == "epochs":
        return str(integer("epochs", whole(value), 0, LONGEST))
    elif key == "points" and not re.fullmatch(r"([0-3][0-9]{4})*", value):
        raise nb.InputError("points must be five figures each, of which the first is from 0 to 3: none is drawn")
    return value.strip()


def whole(text):
    """The integer that a text is, or the text itself if it is none, which a check then refuses."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,40}", text.strip()) else text


def real(text):
    """The number that a text is, or the text itself if it is none."""
    try:
        return float(text) if "_" not in text else text
    except ValueError:
        return text


# ---------------------------------------------------------------- runs


def data_of(config):
    """The data set that a configuration names."""
    check_name("task", config["task"], TASKS)
    if config["task"] != "points":
        if config["task"] not in loaded:
            loaded[config["task"]] = nb.data.load(config["task"])
        return loaded[config["task"]]
    x, y, _ = points_of(config["points"])
    return nb.data.from_arrays("points", x, y, x, y, validation=0.25)


def points_of(text):
    """Points that were drawn by hand: five figures a point, its class, and its place on a grid of 100 x 100.

    Classes that nobody has drawn are left out, so that those of the network are counted from 0; the last thing that is
    returned are the drawn ones.
    """
    rows = [text[i:i + 5] for i in range(0, len(text) - 4, 5)]
    x = [[(int(row[1:3]) - 50) / 20, (int(row[3:5]) - 50) / 20] for row in rows]
    known = sorted({row[0] for row in rows})
    if len(known) < 2 or min(sum(row[0] == label for row in rows) for label in known) < 4:
        raise nb.InputError("draw at least 4 points of each of two classes")
    return x, [known.index(row[0]) for row in rows], [int(label) for label in known]


def chosen(config):
    """The settings: what the form says, and else what suits the task and the rule."""
    given = {key: config[key] for key in ("model", "activation", "lr") if config[key] != ""}
    if "lr" in given:
        given["lr"] = number("lr", real(given["lr"]))
    if "model" in given:
        fits(given["model"], MODELS if config["task"] == "digits" else VECTORS)
    usual = "circles" if config["task"] == "points" else config["task"]
    own = SUITED.get(config["rule"], {}) if usual != "digits" else {}
    return suited(usual, nb.rules.get(config["rule"]), own | given)


def fits(model, known):
    """Raise InputError if a network is none of those that fit the task, or is too large for a page."""
    name, _, argument = model.partition(":")
    check_name("network", name, known)
    hidden = sizes(name, argument) if name in VECTORS else ()
    if len(hidden) > LAYERS or max(hidden, default=0) > UNITS:
        raise nb.InputError(f"model '{brief(model)[1:-1]}' is too large for this page: expected at most {LAYERS} "
                            f"hidden layers of at most {UNITS} units, such as {name}:{UNITS}")


def start(side, text):
    """Begin a run, and say all that stays the same while it learns."""
    config = json.loads(text)
    runs.pop(side, None)
    data, settings = data_of(config), chosen(config)
    config["seed"] = integer("seed", whole(config["seed"]), 0)
    net = nb.models.build(settings["model"], data.shape, data.classes, settings["activation"], settings["loss"])
    run = nb.Run(net, config["rule"], data, choose(Settings, settings), config["seed"])
    runs[side] = run, config, settings
    plane, shown = data.shape == (2,), slice(SHOWN)
    raw = data.x_train[shown] * data.scale + data.mean if plane else None
    reach = RANGE if config["task"] == "points" else float(1.06 * np.abs(raw).max()) if plane else None
    return told({
        "classes": data.classes, "blocks": len(net), "samples": len(data.y_train), "settings": settings,
        "parameters": nb.metrics.size(run.params), "range": reach,
        "points": np.round(raw, 3).tolist() if plane else None, "labels": data.y_train[shown].tolist(),
        "held": held_back(config["points"], data) if config["task"] == "points" else [],
        "drawn": points_of(config["points"])[2] if config["task"] == "points" else list(range(data.classes)),
        "images": images(data) if not plane else None, "view": picture(run, reach)})


def held_back(text, data):
    """The places in the text of the points that are not learnt from, as validation has them."""
    x, y, _ = points_of(text)
    raw = np.round(20 * (data.x_validation * data.scale + data.mean)).astype(int).tolist()
    kept = {(*place, label) for place, label in zip(map(tuple, raw), data.y_validation.tolist(), strict=True)}
    return [i for i, (place, label) in enumerate(zip(x, y, strict=True))
            if (*(round(20 * value) for value in place), label) in kept]


def images(data):
    """The first validation images, from 0 to 255, with their classes."""
    raw = data.x_validation[:DIGITS] * data.scale + data.mean
    return {"size": data.shape[0], "labels": data.y_validation[:DIGITS].tolist(),
            "pixels": np.round(raw / raw.max() * 255).astype(int).reshape(len(raw), -1).tolist()}


def epoch(side):
    """Learn for one epoch, and return its record."""
    return told(runs[side][0].epoch())


def view(side):
    """What can be drawn of a run as it is now."""
    run, config, _ = runs[side]
    reach = None
    if run.data.shape == (2,):
        raw = run.data.x_train[:SHOWN] * run.data.scale + run.data.mean
        reach = RANGE if config["task"] == "points" else float(1.06 * np.abs(raw).max())
    return told(picture(run, reach))


def picture(run, reach):
    """The answers on a map of the plane or for images, and the pairs of matrices with the angles between them."""
    if reach is not None:
        line = np.linspace(-reach, reach, GRID)
        x = run.data.prepare(np.stack(np.meshgrid(line, line[::-1]), -1).reshape(-1, 2))
    else:
        x = run.data.x_validation[:DIGITS]
    out = np.nan_to_num(run.rule.predict(run.net, run.params, x.astype(run.settings.dtype)).astype("float64"))
    ordered = np.sort(out, -1)
    sure = np.tanh(ordered[:, -1] - ordered[:, -2])
    return {"answers": out.argmax(-1).tolist(), "sure": np.round(255 * sure).astype(int).tolist(), "grid": GRID,
            "pairs": [{"block": pair.block, "direct": pair.direct, "angle": degrees(pair), "W": shown(pair.W),
                       "B": shown(pair.B)} for pair in pairs(run.rule, run.params, run.state)]}


def degrees(pair):
    """The angle between the matrices of a pair; None if one of them is zero, or holds what is not finite."""
    W, B = (matrix.astype("float64") for matrix in (pair.W, pair.B))
    return angle(W, B) if all(matrix.any() and np.isfinite(matrix).all() for matrix in (W, B)) else None


def shown(matrix):
    """The corner of a matrix that is drawn, from -100 to 100, and its size."""
    part = np.nan_to_num(matrix[:WIDEST, :WIDEST].astype("float64"))
    largest = np.abs(part).max() or 1.0
    return {"rows": len(part), "columns": part.shape[1], "of": list(matrix.shape),
            "values": np.round(100 * (part / largest)).astype(int).reshape(-1).tolist()}


def finish(side):
    """The accuracy on the test set, which nothing reads before."""
    return told(runs[side][0].test_accuracy())


def history(side):
    """All records so far, as they are."""
    return told(list(runs[side][0].history))


def python(side):
    """The lines that reproduce a run with the installed package, as far as it has come."""
    run, config, settings = runs[side]
    usual = {field.name: field.default for group in (Settings, NetworkSettings) for field in fields(group)}
    given = {"epochs": max(len(run.history), 1), **{key: settings[key] for key in usual if hasattr(run.settings, key)
                                                    and key != "epochs" and settings[key] != usual[key]}}
    lines = ["import nobackprop as nb", "", *(f"# {line}" for line in textwrap.wrap(same(config["rule"]), 110))]
    if config["task"] == "points":
        x, y, drawn = points_of(config["points"])
        if drawn != list(range(len(drawn))):
            lines += [f"# classes {', '.join(str(label + 1) for label in drawn)} of the page: Python counts from 0"]
        lines += [f"x = {x}", f"y = {y}", 'data = nb.data.from_arrays("points", x, y, x, y, validation=0.25)']
    else:
        lines += [f'data = nb.data.load("{config["task"]}")']
    lines += [f'net = nb.models.build("{settings["model"]}", data.shape, data.classes, "{settings["activation"]}", '
              f'"{settings["loss"]}")',
              f"settings = nb.Settings({', '.join(f'{key}={value!r}' for key, value in given.items())})",
              f'run = nb.fit(net, "{config["rule"]}", data, settings, seed={config["seed"]})',
              "print(run.history[-1])"]
    return "\n".join(lines) + "\n"


def same(rule):
    """A sentence that says how near the copied lines come to what the page has shown."""
    if rule in AMPLIFY:
        return (f"The same run, but not the same numbers: each processor rounds in its own way, and {rule} amplifies "
                "rounding so much that after some epochs another machine has other numbers.")
    return ("The same run: the first epochs have the same numbers up to rounding. Each processor rounds in its own "
            "way, and learning amplifies rounding: later epochs may differ, mostly in their last figures.")
