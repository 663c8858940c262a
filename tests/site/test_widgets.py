"""The widgets of the pages of theory, in a real Chromium: they show the numbers of the studies."""
import pytest

from nobackprop.studies import illustrations

pytestmark = pytest.mark.usefixtures("python")
WIDGETS = {"las-sign": ("module_sign", {"rate": 0.5}), "forward-alignment": ("conserved", {"eta": 10 ** -1.7}),
           "kolen-pollack": ("forgetting", {"a": 0.1}), "makespan": ("conveyor", {"batches": 6, "costs": [1] * 4})}
FILL = """async names => {
    for (const name of names) {
        const widget = document.createElement("div");
        widget.className = "nobackprop-widget";
        widget.dataset.widget = name;
        document.querySelector("main").append(widget);
    }
    await import("./playground/widgets.js");
}"""


def number(value):
    """How a widget writes a number: three figures, in JavaScript's way."""
    return f"{value:.3g}" if 1e-3 <= value < 1e4 else f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+")


@pytest.fixture
def widgets(visit):
    """A page with all widgets, before Python is asked for."""
    page = visit("playground.html#rule=bp&model=mlp:2")
    page.evaluate(FILL, list(WIDGETS))
    return page


def test_widgets_show_what_the_studies_compute_and_follow_their_sliders(widgets):
    assert widgets.locator(".nobackprop-widget canvas").count() == 0  # nothing is loaded unasked
    for name in WIDGETS:
        widgets.locator(f"[data-widget={name}] button").click()
        widget = widgets.locator(f"[data-widget={name}]")
        assert not widget.get_attribute("data-ready") or widget.locator("canvas").is_visible()
        if not widget.get_attribute("data-ready"):  # nothing moves that does nothing, and the widget says what it does
            assert widget.locator(".verdict").inner_text()
    said = {}
    for name in WIDGETS:
        widget = widgets.locator(f"[data-widget={name}][data-ready]")
        widget.wait_for()
        said[name] = widget.locator(".verdict").inner_text()
        assert widget.locator("canvas").get_attribute("aria-label") == said[name]
        assert widget.locator("label input[type=range]").count() == widget.locator("input").count() > 0
    found = {name: getattr(illustrations, call)(**given) for name, (call, given) in WIDGETS.items()}
    assert said["las-sign"].count(number(found["las-sign"]["descends"][-1])) == 2  # measured, and as the theorem says
    assert f"by {number(found['forward-alignment']['K'][-1])} of its own" in said["forward-alignment"]
    for name, bound in found["kolen-pollack"]["bounds"].items():
        assert f"below a = {bound:.3f}" in said["kolen-pollack"], name
    assert "take 9 units of time" in said["makespan"] and found["makespan"]["makespan"] == 9

    slider = widgets.locator("[data-widget=makespan] input").first
    slider.focus()
    slider.press("End")
    widgets.get_by_text("16 mini-batches take 19 units of time").wait_for()
    slider.press("Home")
    widgets.get_by_text("1 mini-batch takes 4 units of time").wait_for()
    assert said["las-sign"].count("After") == 1 and said["las-sign"].lower().count("after 40 steps") == 1
    beyond = widgets.locator("[data-widget=las-sign] input")
    beyond.focus()
    beyond.press("End")
    widgets.get_by_text("even the descent leaves").wait_for()
