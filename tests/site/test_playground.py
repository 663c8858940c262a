"""The playground in a real Chromium: every rule learns there as it does natively, and the page can be used by all."""
import contextlib
import io
import json

import pytest

import nobackprop as nb

pytestmark = pytest.mark.usefixtures("python")
# nothing is under way, and what is true now is drawn and written
REST = "window.playground && !playground.running() && playground.drawn()"
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


def go_to(page, fragment):
    """Lead a page that is open to another state, as a link does; the page has noticed when this returns."""
    page.evaluate("""fragment => new Promise(noticed => {
        addEventListener("hashchange", noticed, {once: true});
        location.hash = fragment;
    })""", fragment)
    reached(page, fragment)


def reached(page, fragment):
    """Wait until the page shows the state of a fragment."""
    wanted = dict(part.split("=") for part in fragment.split("&"))
    page.wait_for_function(
        f"""([rule, epochs]) => {REST} && playground.sides()[0]?.rule === rule && playground.sides()[0].able
           && playground.epochs() === epochs""",
        arg=[wanted.get("rule", "las"), int(wanted.get("epochs", 0))])


def at_rest(page):
    """Wait until nothing is under way, and return what the status says then."""
    page.wait_for_function(REST)
    assert page.locator("#run").inner_text() == "Run"
    return page.locator("#say").inner_text()


def chosen(page, **fields):
    """Type into fields, leave them, and wait until the page has done with it."""
    for name, text in fields.items():
        page.locator(f"#{name}").fill(text)
        page.locator(f"#{name}").press("Tab")
    return at_rest(page)


def epochs(page, least):
    """Wait until a page that runs has learnt so many epochs."""
    page.wait_for_function("least => playground.epochs() >= least", arg=least)


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
    page = open_at(visit, f"rule=bp&task={task}&seed=0&model=mlp:4")
    for rule in nb.rules.RULES:
        settings = TASKS[task].replace("&activation=tanh", "") if rule in OWN_ACTIVATION else TASKS[task]
        fragment = f"rule={rule}&task={task}&seed=1&{settings}"
        go_to(page, fragment)
        assert_alike(json.loads(ask(page, "history")), native(ask(page, "python")), f"{rule} on {task}",
                     ROUNDED.get(rule, 1))
        assert page.locator(".side .epoch").inner_text() == settings[-1]


def test_two_rules_side_by_side_and_a_link_to_what_is_seen(visit):
    page = open_at(visit, "rule=fa&rule2=bp&task=circles&model=mlp:8,8&lr=0.02&seed=3")
    page.get_by_role("button", name="Step").click()
    assert at_rest(page) == "epoch 1, paused"
    page.get_by_role("button", name="Run").click()
    epochs(page, 4)
    page.get_by_role("button", name="Pause").click()
    assert "paused" in at_rest(page) and page.evaluate("location.hash.includes('epochs=' + playground.epochs())")
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
    assert at_rest(again) == "Ready: press Run" and again.evaluate("playground.epochs()") == 0


def test_own_points_come_from_the_mouse_and_from_the_keyboard(visit):
    page = visit("playground.html#rule=bp&task=points&model=mlp:6&seed=0")
    page.get_by_text("draw at least 4 points of each of two classes").wait_for()
    canvas = page.locator(".map canvas")

    def settled(points):
        page.wait_for_function("points => location.hash.split('points=')[1]?.length === 5 * points", arg=points)
        at_rest(page)

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
    page.get_by_role("button", name="Step").click()
    assert at_rest(page) == "epoch 1, paused"
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
    assert "Ready" not in chosen(page, seed="one") and page.locator("#run").is_disabled()
    assert page.locator(".fault").inner_text().startswith("seed must be an integer, got 'one'")
    assert "Ready" not in chosen(page, seed="0", model="mlp:zero") and page.locator("#run").is_disabled()
    assert "mlp:zero" in page.locator(".fault").inner_text()
    assert chosen(page, model="mlp:8", lr="3e38") == "Ready: press Run"
    page.get_by_role("button", name="Run").click()
    page.wait_for_function("playground.sides()[0].broken")
    assert "see the sentence below" in at_rest(page) and "rule bp, seed 0" in page.locator(".fault").inner_text()
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


# ---------------------------------------------------------------- a link that is not understood


@pytest.mark.parametrize("part", ["rule=nonsense", "task=nonsense", "activation=zzz", "epochs=1e9",
                                  "points=01684x1783019", "nothing=3"])
def test_a_part_of_a_link_that_says_nothing_is_told_and_nothing_is_trained(visit, part):
    page = visit(f"playground.html#model=mlp:4&seed=1&epochs=2&{part}")
    page.get_by_role("alert").filter(has_text=part).wait_for()
    at_rest(page)
    assert page.evaluate("playground.epochs()") == 0
    chosen(page, seed="2")
    assert page.locator("#notice").is_hidden()  # the page now shows what is chosen


@pytest.mark.parametrize("part, said", [
    *((f"lr={text}", f"lr must be a positive number, got '{text}'") for text in ("0,1", "abc", "1_0", "0x10")),
    ("lr=NaN", "lr must be a positive number, got nan"), ("lr=1e400", "lr must be a positive number, got inf"),
    ("seed=1.5", "seed must be an integer, got '1.5'"), ("seed=-1", "seed must be at least 0, got -1"),
    ("model=mlp:1000000", "such as mlp:512"), ("model=vgg8b", "(known: mlp, mlp-bn)")])
def test_a_field_that_cannot_be_read_is_told_and_keeps_what_it_says(visit, part, said):
    key, _, value = part.partition("=")
    page = visit(f"playground.html#rule=bp&epochs=2&{part}")
    page.locator(".fault").filter(has_text=said).wait_for()
    at_rest(page)
    assert page.locator(f"#{key}").input_value() == value and f"{key}=" in page.evaluate("location.hash")
    assert page.locator("#run").is_disabled() and page.locator("#step").is_disabled()
    assert page.locator("#say").inner_text() == "Nothing can run: see the sentence below"


# ---------------------------------------------------------------- the buttons, the status, the focus


@pytest.mark.parametrize("rule, lr", [("las", "1e30"), ("bp", "1e300")])
def test_numbers_that_leave_all_bounds_do_not_hang_the_page(visit, rule, lr):
    page = open_at(visit, f"rule={rule}&task=spirals&model=mlp:8,8&seed=0&lr={lr}")
    page.get_by_role("button", name="Run").click()
    page.wait_for_function("playground.epochs() >= 3 || playground.sides()[0].broken")
    # one call, as the run may end at any moment
    page.evaluate("{ const run = document.getElementById('run'); if (run.textContent === 'Pause') run.click() }")
    said = at_rest(page)
    if page.evaluate("playground.sides()[0].broken"):
        assert "see the sentence below" in said and f"rule {rule}, seed 0" in page.locator(".fault").inner_text()
    else:
        assert "paused" in said
    page.get_by_role("button", name="Reset").click()
    assert chosen(page, lr="0.005") == "Ready: press Run"


@pytest.mark.parametrize("change", [
    "document.getElementById('reset').click()", "location.hash = 'rule=fa&model=mlp:4&seed=0'",
    "for (const [name, value] of [['seed', '5']]) { const one = document.getElementById(name); one.value = value; "
    "one.dispatchEvent(new Event('change')); }",
    "{ const one = document.getElementById('rule'); one.value = 'bp'; one.dispatchEvent(new Event('change')); }",
    "{ const one = document.getElementById('task'); one.value = 'points'; one.dispatchEvent(new Event('change')); }"])
def test_a_change_while_it_runs_stops_it_and_the_button_says_so(visit, change):
    page = open_at(visit, "rule=las&task=circles&model=mlp:4&seed=0")
    page.get_by_role("button", name="Run").click()
    epochs(page, 2)
    page.evaluate(change)
    page.wait_for_function("playground.epochs() === 0")
    said = at_rest(page)
    assert said == ("Nothing can run: see the sentence below" if "'points'" in change else "Ready: press Run")
    assert page.locator("#step").is_disabled() == ("'points'" in change)
    assert "loss" not in page.locator("#aloud").inner_text()


def test_run_in_the_same_moment_as_a_change_runs_what_was_changed(visit):
    page = open_at(visit, "rule=bp&task=circles&model=mlp:4&seed=0")
    page.locator("#seed").fill("7")
    page.get_by_role("button", name="Run").click()  # the field still has the focus
    epochs(page, 2)
    assert page.locator("#run").inner_text() == "Pause" and page.locator("#step").is_disabled()
    page.get_by_role("button", name="Pause").click()
    assert "paused" in at_rest(page) and not page.locator("#step").is_disabled()
    assert "seed=7" in ask(page, "python")


def test_points_typed_fast_are_all_drawn_and_the_map_keeps_the_focus(visit):
    page = visit("playground.html#rule=bp&rule2=fa&task=points&model=mlp:4")
    page.locator(".fault").first.wait_for()
    page.locator(".map canvas").first.focus()

    def typed(points):
        for i in range(points):
            page.keyboard.press("12"[i % 2])
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Space")
        assert page.evaluate("document.activeElement === playground.sides()[0].part('.map canvas')")
        at_rest(page)
        assert page.evaluate("new URLSearchParams(location.hash.slice(1)).get('points').length") == 5 * points

    typed(12)
    page.get_by_role("button", name="Clear all").click()
    page.locator(".map canvas").first.focus()
    typed(9)
    caption = page.locator(".map figcaption").first.inner_text()
    assert "the 2 hollow ones are held back" in caption


# ---------------------------------------------------------------- what captions say


def test_a_picture_that_has_nothing_to_show_says_why(visit):
    page = open_at(visit, "rule=ep&task=circles&model=mlp:4&seed=0&epochs=1")
    page.get_by_text("ep sends no error signal to a hidden block").wait_for()
    page = open_at(visit, "rule=las&task=circles&model=mlp:4,4&seed=0&epochs=1")
    assert page.locator(".silent").inner_text() == ""
    page = visit("playground.html#rule=las&task=points")
    page.locator(".fault").wait_for()
    at_rest(page)
    assert "keeps no feedback weights" not in page.locator(".side").inner_text()


def test_the_chart_of_alignment_shows_what_its_caption_names(visit):
    page = open_at(visit, "rule=las&task=circles&model=mlp:5,6&seed=1&epochs=2")
    last = json.loads(ask(page, "history"))[-1]
    assert "alignment_at_a" in page.locator(".alignment figcaption").inner_text()
    said = page.locator(".alignment canvas").get_attribute("aria-label")
    assert [float(part.split()[-1]) for part in said.split(": ")[1].split(", ")] == [
        pytest.approx(value, abs=0.006) for value in last["alignment_at_a"]]


def test_the_copied_lines_are_said_to_be_as_near_as_they_are(visit):
    page = open_at(visit, "rule=ep&task=circles&model=mlp:4&seed=0")
    assert "not the same numbers" in ask(page, "python")
    page.get_by_role("button", name="Copy as Python").click()
    page.wait_for_function("/^copied|copy it yourself/.test(document.getElementById('say').textContent)")
    assert "same numbers in Python" not in page.locator("#say").inner_text()
