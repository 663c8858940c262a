"""The playground in a real Chromium: every rule learns there as it does natively, and the page can be used by all."""
import contextlib
import io
import json

import pytest

import nobackprop as nb

TASKS = {"spirals": "model=mlp:8,8,8&epochs=2", "digits": "model=mlp:16,8,16&activation=tanh&epochs=1"}
OWN_ACTIVATION = ("al",)  # networks that fold take two activations
# of one magnitude and any sign: some units hear the sum of the error over all classes, which is 0 but for rounding, and
# Adam makes whole steps of what rounding has left
ROUNDED = {"usf": 10, "bdfa": 10}


def open_at(visit, fragment, **how):
    """The playground at that state, when it has learnt the epochs that the state asks for."""
    page = visit(f"playground.html#{fragment}", **how)
    reached(page, fragment)
    return page


def reached(page, fragment):
    """Wait until the page shows the state of a fragment."""
    wanted = dict(part.split("=") for part in fragment.split("&"))
    page.wait_for_function(
        """([rule, epochs]) => window.playground && !playground.running() && playground.drawn()
           && playground.sides().length && playground.sides()[0].rule === rule && playground.sides()[0].info
           && playground.epochs() === epochs
           && !document.getElementById("run").disabled""",
        arg=[wanted.get("rule", "las"), int(wanted.get("epochs", 0))])


def ask(page, call, side="a"):
    """What Python in the worker says."""
    return page.evaluate("([call, side]) => playground.ask(call, side)", [call, side])


def native(text):
    """The history of the run that copied lines make here."""
    found = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(text, found)
    return found["run"].history


def assert_alike(came, wanted, where, slack=1):
    """Losses to 1e-3 of themselves, cosines to 1e-3; a share may differ by one sample, see tests/test_pyodide.py."""
    assert len(came) == len(wanted) > 0
    for one, other in zip(came, wanted, strict=True):
        assert one.keys() == other.keys()
        for key, values in other.items():
            found, values = (value if isinstance(value, list) else [value] for value in (one[key], values))
            for x, y in zip(found, values, strict=True):
                near = slack * (0.006 if "accuracy" in key else 1e-3 * (abs(y or 0) if "loss" in key else 1.0))
                assert x == y or abs(x - y) <= near, f"{where}: {key} is {x}, natively {y}"


@pytest.mark.parametrize("task", TASKS)
def test_every_rule_learns_in_the_page_as_the_copied_lines_do_here(visit, task):
    page = open_at(visit, f"rule=bp&task={task}&seed=1&{TASKS[task]}")
    for rule in nb.rules.RULES:
        settings = TASKS[task].replace("&activation=tanh", "") if rule in OWN_ACTIVATION else TASKS[task]
        fragment = f"rule={rule}&task={task}&seed=1&{settings}"
        page.evaluate("fragment => { location.hash = fragment }", fragment)
        reached(page, fragment)
        assert_alike(json.loads(ask(page, "history")), native(ask(page, "python")), f"{rule} on {task}",
                     ROUNDED.get(rule, 1))
        assert page.locator(".side .epoch").inner_text() == settings[-1]


def test_two_rules_side_by_side_and_a_link_to_what_is_seen(visit):
    page = open_at(visit, "rule=fa&rule2=bp&task=circles&model=mlp:8,8&lr=0.02&seed=3")
    page.get_by_role("button", name="Step").click()
    page.wait_for_function("playground.epochs() === 1 && !playground.running()")
    page.get_by_role("button", name="Run").click()
    page.wait_for_function("playground.epochs() >= 4")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_function("!playground.running() && location.hash.includes('epochs=' + playground.epochs())")
    histories = [json.loads(ask(page, "history", side)) for side in "ab"]
    assert len(histories[0]) == len(histories[1]) >= 4 and histories[0] != histories[1]
    for side, history in zip("ab", histories, strict=True):
        assert_alike(history, native(ask(page, "python", side)), side)
    fragment = page.evaluate("location.hash.slice(1)")
    assert "rule2=bp" in fragment and "lr=0.02" in fragment and "seed=3" in fragment
    again = open_at(visit, fragment)
    assert [json.loads(ask(again, "history", side)) for side in "ab"] == histories
    assert again.locator(".side .name").all_inner_texts() == ["fa", "bp"]
    assert again.locator("#lr").input_value() == "0.02" and again.locator("#task").input_value() == "circles"
    again.get_by_role("button", name="Reset").click()
    again.wait_for_function("playground.epochs() === 0 && !document.getElementById('run').disabled")


def test_own_points_come_from_the_mouse_and_from_the_keyboard(visit):
    page = visit("playground.html#rule=bp&task=points&model=mlp:6&seed=0")
    page.get_by_text("draw at least 4 points of each of two classes").wait_for()
    canvas = page.locator(".map canvas")

    def settled(points):
        page.wait_for_function("points => location.hash.split('points=')[1]?.length === 5 * points", arg=points)
        page.wait_for_function("playground.sides().length === 1 && (playground.sides()[0].broken "
                               "|| !document.getElementById('run').disabled)")

    canvas.scroll_into_view_if_needed()
    for i in range(4):
        canvas.click(position={"x": 40 + 20 * i, "y": 60})
        settled(i + 1)
    page.get_by_label("2", exact=True).check()
    canvas.focus()
    for i in range(4):
        page.keyboard.press("Shift+ArrowDown")
        page.keyboard.press("Space")
        settled(5 + i)
        page.locator(".map canvas").focus()
    page.wait_for_function("!document.getElementById('run').disabled")
    page.get_by_role("button", name="Step").click()
    page.wait_for_function("playground.epochs() === 1 && !playground.running()")
    text = ask(page, "python")
    assert text.count("[") == 11 and "y = [0, 0, 0, 0, 1, 1, 1, 1]" in text
    assert_alike(json.loads(ask(page, "history")), native(text), "own points")
    page.get_by_role("button", name="Clear all").click()
    page.get_by_text("draw at least 4 points of each of two classes").wait_for()


def test_it_can_be_used_without_a_mouse_and_without_seeing_it(visit):
    page = open_at(visit, "rule=dfa&task=spirals&model=mlp:8&seed=0&epochs=1")
    nameless = page.evaluate("""[...document.querySelectorAll("select, input, button, canvas")]
        .filter(e => e.offsetParent && !(e.labels?.length || e.getAttribute("aria-label") || e.innerText.trim()))
        .map(e => e.outerHTML)""")
    assert nameless == []
    said = page.locator("#aloud").inner_text()
    assert "dfa: Epoch 1: loss" in said and "validation accuracy" in said
    for canvas in page.locator("canvas:visible").all():
        assert canvas.get_attribute("role") == "img" and "poch 1: loss" in canvas.get_attribute("aria-label") or any(
            word in canvas.get_attribute("aria-label") for word in ("block 1", "Angles"))
    page.locator("#rule").focus()
    seen = []
    for _ in range(12):
        seen.append(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Tab")
    assert [name for name in seen if name] == ["rule", "rule2", "task", "model", "activation", "lr", "seed", "run",
                                               "step", "reset", "link", "python"]


def test_mistakes_are_one_sentence_and_a_run_that_diverges_says_so(visit):
    page = open_at(visit, "rule=bp&task=circles&model=mlp:8&seed=0")
    page.locator("#seed").fill("one")
    page.locator("#seed").press("Tab")
    page.get_by_text("seed must be an integer, got").wait_for()
    page.locator("#seed").fill("0")
    page.locator("#model").fill("mlp:zero")
    page.locator("#model").press("Tab")
    page.wait_for_function("document.querySelector('.fault')?.textContent.includes('mlp:zero')")
    assert page.locator("#run").is_disabled()
    page.locator("#model").fill("mlp:8")
    page.locator("#lr").fill("3e38")
    page.locator("#lr").press("Tab")
    page.wait_for_function("!document.getElementById('run').disabled && playground.sides()[0].info")
    page.get_by_role("button", name="Run").click()
    page.wait_for_function("document.querySelector('.fault')?.textContent.includes('rule bp, seed 0')")
    page.wait_for_function("!playground.running()")
    assert "\n" not in page.locator(".fault").inner_text() and "Traceback" not in page.locator(".fault").inner_text()


def test_without_webassembly_one_sentence_says_so(browser, server):
    page = browser.new_page()
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(f"{server}/playground.html")
    page.get_by_text("This browser has no WebAssembly").wait_for()
    assert page.locator("#run").is_disabled()
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(visit, width):
    page = open_at(visit, "rule=fa&rule2=las&task=spirals&model=mlp:8,8&seed=0&epochs=1", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
