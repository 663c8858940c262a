"""A page for each rule: its picture, what it says of itself, what it reads, equations, errata, results, ten lines."""
from __future__ import annotations

import inspect
import json
import re
from collections import defaultdict
from functools import cache
from html import escape
from pathlib import Path
from statistics import fmean, stdev

from nobackprop.rules import RULES, summary
from nobackprop.studies.diagram import INK, plain, sentences, style, svg
from nobackprop.studies.field import edges
from nobackprop.studies.locality import measured
from nobackprop.studies.locality.pages import COLUMNS, entries
from nobackprop.studies.theorems import HEAD, statements

from . import equations
from .links import ROOT, link

ITEM = re.compile(r"^### (([A-Z]+) \d+)\. (.*?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
WRONG = re.compile(r"\*\*Printed wrongly:\*\* (.*)")
VERBS = "adds|carries|compares|estimates|gives|is|keeps|learns|lets|makes|moves|sends|shares|trains?|updates|weighs"
# what readers call rules besides
ALSO = {"weight mirrors": ["wm"], "Kolen-Pollack": ["kp"], "sign symmetry": ["usf", "frsf", "brsf"],
        "local losses": ["mostafa", "predsim"], "target propagation": ["dtp"]}
# what a note of a docstring begins with, and the heading under which the page has it
NOTES = {"What is substituted": "What is substituted", "State": "What it keeps", "Source": "Source",
         "Deviations from print": "Deviations from print"}


@cache
def picture(name: str) -> str:
    """Return the picture of a rule."""
    return svg(RULES[name], name, measured(RULES[name]))


def pages() -> dict[str, str]:
    """Return the pages of all rules and the table of them, by their paths on the site."""
    return {"rules/index.md": index()} | {f"rules/{name}.md": page(name) for name in RULES}


def colours() -> str:
    """Return the colours of pictures as CSS for light and dark pages, whatever the reader's system says."""
    return "\n".join(style(theme, f'html[data-theme="{theme}"] .nobackprop-diagram') for theme in INK) + "\n"


def draw_all(to: Path) -> None:
    """Write the pictures of all rules into a folder."""
    to.mkdir(parents=True, exist_ok=True)
    for name in RULES:
        (to / f"{name}.svg").write_text(picture(name), encoding="utf-8")


def index() -> str:
    """Return the table of all rules, which a script sorts and filters; without the script it is a table."""
    heads = ("rule", *COLUMNS, "what it is")
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "\n".join(
        f'<tr><th scope="row"><a href="{name}.html"><code>{name}</code></a></th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in entries(measured(RULES[name])))
        + f"<td>{escape(summary(name))}</td></tr>" for name in RULES)
    return (
        "# Rules\n\nThe five columns in the middle are measured: they name the hidden blocks, of four, whose updates "
        "read something that a synapse cannot know. [What each rule reads](../docs/locality.md) says how. Each rule "
        "has a page with its picture.\n\n"
        '```{raw} html\n<div class="nobackprop-table-tools"><label for="rules-filter">Show the rules that have</label> '
        '<input id="rules-filter" type="search" placeholder="such as direct, or 2016"> '
        '<span id="rules-count" role="status" aria-live="polite"></span></div>\n'
        '<div class="nobackprop-table-wrap" tabindex="0" role="region" aria-label="Table of rules">\n'
        '<table class="nobackprop-rules" data-filter="rules-filter" data-count="rules-count">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n```\n\n"
        "```{toctree}\n:hidden:\n\n" + "\n".join(RULES) + "\n```\n")


def page(name: str) -> str:
    """Return the page of one rule.

    Parameters
    ----------
    name : str
        The name of the rule.

    Returns
    -------
    str
        The page, in Markdown.
    """
    here, said = f"rules/{name}.html", notes(name)
    picked = picture(name)
    parts = [
        f"# {name}\n",
        equations.found_by(name, called(name), *(words for words, names in ALSO.items() if name in names)),
        f"**{in_markdown(summary(name))}**\n",
        f'<a class="nobackprop-button" href="../playground.html#rule={name}&amp;task=spirals">Try it: '
        f"<code>{name}</code> in your browser</a>\n",
        f'```{{raw}} html\n<figure class="nobackprop-figure">\n{without_blank_lines(picked)}</figure>\n```\n',
        f'`nobackprop draw {name} --out {name}.svg` draws this picture. It shows what was measured on a network of '
        f'four hidden blocks; <a href="../_static/rules/{name}.svg">the picture as a file</a>.\n']
    row = measured(RULES[name])
    parts += ["## In plain words\n", f"{equations.prose(plain(RULES[name], row))}\n", *said.pop("", []),
              "*What it substitutes in backpropagation:* " + "\n".join(said.pop("What is substituted", []))]
    parts += ["## What it reads\n", "\n".join(f"- {equations.prose(one)}" for one in sentences(RULES[name], row)),
              "\nHow this is measured: [what each rule reads](../docs/locality.md).\n"]
    own = equations.of_rule(name)
    if own:
        parts += ["## Equations\n", "\n".join(
            f"- [{paper.key} ({equation.number})](../equations/{equations.name_of(paper, equation)}.md): "
            f"{equations.prose(equation.meaning)}" for paper, equation in own) + "\n"]
    for begin, title in NOTES.items():
        if begin in said:
            parts += [f"## {title}\n", *said[begin]]
    parts += [*equal_to(name, here), *errata(name, here), *results(name)]
    kind = type(RULES[name])
    path = f"{kind.__module__.replace('.', '/')}.py"
    parts += ["## Ten lines that run it\n", f"```python\n{lines(name)}```\n",
              f"The whole rule is {link(f'`{kind.__name__}`', path, here, kind.__name__)} in `{path}`; "
              f"[its reference](../api/{kind.__module__}.md).\n"]
    return "\n".join(parts)


def called(name: str) -> str:
    """Return what a rule is called in words, such as "direct feedback alignment": its summary up to the verb."""
    found = re.match(rf"(?:The )?(.+?)(?::| (?:{VERBS})\b)", summary(name))
    assert found is not None, f"no verb in {summary(name)!r}"
    draw = re.search(r"Here (draw=\w+)", summary(name))
    return found[1] + (f" ({draw[1]})" if draw else "")


def without_blank_lines(text: str) -> str:
    """Return a text without blank lines, which would end HTML in Markdown."""
    return re.sub(r"\n\s*\n", "\n", text)


def notes(name: str) -> dict[str, list[str]]:
    """Return the notes of the docstring of a rule, by what they begin with, as paragraphs of Markdown.

    Parameters
    ----------
    name : str
        The name of the rule.

    Returns
    -------
    dict of str to list of str
        Paragraphs that begin with none of NOTES go with the one before them; those before all of them are under ''.
    """
    kind = type(RULES[name])
    found: dict[str, list[str]] = {}
    for one in kind.__mro__:  # a class that says only what is different has the notes of its base
        text = inspect.cleandoc(vars(one).get("__doc__") or "")
        section = re.search(r"^Notes\n-+\n(.*?)(?=^[A-Z][a-z]+\n---|\Z)", text, re.MULTILINE | re.DOTALL)
        own: dict[str, list[str]] = {}
        under = ""
        for paragraph in re.split(r"\n\s*\n", section[1].strip()) if section else []:
            begin = next((key for key in NOTES if paragraph.startswith(f"{key}:")), None)
            if begin:
                under, paragraph = begin, paragraph[len(begin) + 1:].strip()
                paragraph = paragraph[0].upper() + paragraph[1:]
            own.setdefault(under, []).append(in_markdown(paragraph) + "\n")
        found = own | found if found else own
        if "What is substituted" in found:
            return found
    return found


def in_markdown(text: str) -> str:
    """Return prose of a docstring as Markdown: code stays code, and a sign is a sign."""
    parts = re.split(r"(``.*?``|`[^`]*`)", text, flags=re.DOTALL)
    parts[::2] = [equations.prose(part) for part in parts[::2]]
    return "".join(parts)


def equal_to(name: str, here: str) -> list[str]:
    """Return the section that says under which conditions a rule is another one."""
    found = []
    for edge in edges():
        if name in (edge.rule, edge.becomes):
            path, _, test = edge.test.partition("::")
            proof = ""
            if edge.theory:
                where, _, statement = edge.theory.partition(" ")
                proof = f', <a href="../docs/theory/{where}.html#{anchor(statement)}">{statement}</a>'
            found.append(f"- [{edge.rule}]({edge.rule}.md) is [{edge.becomes}]({edge.becomes}.md) if: "
                         f"{equations.prose(edge.condition)} ({link('the test', f'tests/{path}', here, test)}{proof})")
    return ["## When it is another rule\n", "\n".join(found) + "\n"] if found else []


def errata(name: str, here: str) -> list[str]:
    """Return the section of the errata that concern a rule: of its equations, and those that name it."""
    text = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    numbers = {(paper.key, equation.number) for paper, equation in equations.of_rule(name)}
    kind = type(RULES[name])
    found = []
    for item in ITEM.finditer(text):
        label, key, title, body = item.groups()
        wrong = WRONG.search(body)
        printed = {(key, number) for number in re.findall(r"\(([\w.]+)\)", wrong[1])} if wrong else set()
        named = re.search(rf"`{re.escape(name)}`|\b{kind.__name__}\b", re.sub(r"\]\([^)]*\)", "", body))
        if printed & numbers or key == name.upper() or named:
            slug = re.sub(r"[^\w\- ]", "", f"{label}. {title}".lower()).replace(" ", "-")
            found.append(f"- [{label}. {title}](../docs/errata.md#{slug})")
    return ["## Errata\n", "\n".join(found) + "\n"] if found else []


@cache
def stored() -> list[tuple[str, dict]]:
    """Return the stored results, by the names of their files."""
    found = [(path.stem, json.loads(path.read_text(encoding="utf-8")))
             for path in sorted((ROOT / "docs" / "results").glob("*.json"))]
    return [(name, one) for name, one in found if "runs" in one]  # a measurement of speed has none


def results(name: str) -> list[str]:
    """Return the section of the stored test accuracies of a rule, next to those of backpropagation."""
    rows = []
    for experiment, found in stored():
        config, of = found["config"], defaultdict(list)
        for run in found["runs"]:
            of[run["rule"]].append(run["test_accuracy"])
        for label, scores in of.items():
            if re.split("[,:]", label)[0] == name and len(scores) > 1 and None not in scores:
                bp = of.get(label.replace(name, "bp", 1), ())
                decay = f", weight decay {config['weight_decay']:g}" if config.get("weight_decay") else ""
                epochs = config.get("epochs") or config.get("rule_settings", {}).get(label, {}).get("epochs", "")
                rows.append(f"| {experiment} | {config['data']} | {config['model']} | {label}{decay} | "
                            f"{fmean(scores):.4f} ± {stdev(scores):.4f} | {f'{fmean(bp):.4f}' if bp else ''} | "
                            f"{len(scores)} | {epochs} |")
    if not rows:
        return ["## Results\n", "No run of this rule is stored yet; `nobackprop compare --rules bp,"
                f"{name}` makes one. [All results](../docs/results.md).\n"]
    return ["## Results\n", "Test accuracy, mean ± sample standard deviation over the seeds; "
            "[all results](../docs/results.md) have the settings of each experiment. Two experiments that both have a "
            "run with the same settings give the same number.\n",
            f"| experiment | data | network | run | {name} | bp | seeds | epochs |\n|---|---|---|---|---|---|---|---|",
            *rows, ""]


def lines(name: str) -> str:
    """Return ten lines of Python that train a network under a rule; a test runs those of every rule."""
    return f"""\
import nobackprop as nb

data = nb.data.load("digits")  # 1,797 handwritten digits of 8 x 8 pixels
net = nb.models.build("mlp:64,64,64", data.shape, data.classes, "tanh")
run = nb.Run(net, "{name}", data)  # settings that suit the data and the rule
for _ in range(3):
    record = run.epoch()
    print(record["epoch"], record["train_loss"], record["validation_accuracy"], record["alignment"])
print(run.test_accuracy())
"""


# ---------------------------------------------------------------- theory


def anchor(statement: str) -> str:
    """Return the anchor of a statement on its page of theory."""
    return re.sub(r"[^a-z0-9]+", "-", statement.lower()).strip("-")


def anchored(text: str) -> str:
    """Return a page of theory with an anchor before each statement."""
    return re.sub(rf"^(?={HEAD.pattern})", lambda found: f'<a id="{anchor(HEAD.match(text, found.start())[1])}"></a>',
                  text, flags=re.MULTILINE)


def statements_table() -> str:
    """Return the index of all statements of all pages of theory."""
    parts = ["\n## All statements\n"]
    page = None
    for one in statements():
        if one.page != page:
            page = one.page
            parts.append(f"\n### {page}\n\n| statement | about | holds if |\n| --- | --- | --- |")
        condition = equations.prose(one.condition).replace("|", r"\|")
        parts.append(f'| <a href="{page}.html#{anchor(one.name)}">{one.name}</a> | '
                     f"{equations.prose(one.title)} | {condition} |")
    return "\n".join(parts) + "\n"


