"""The `nobackprop` command.

Exit codes: 0 done, 2 wrong use, said in one sentence, 1 anything else.
"""
from __future__ import annotations

import argparse
import errno
import json
import math
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import __version__
from .errors import InputError, unknown

# what a command needs is imported in its handler, so that `nobackprop rules` need not wait for matplotlib


class Parser(argparse.ArgumentParser):
    """One that says a mistake in one line, without a page of usage, and guesses no abbreviations."""

    def __init__(self, **kwargs: Any):
        self.options: list[str] = []
        super().__init__(allow_abbrev=False, **kwargs)

    def add_argument(self, *names: str, **kwargs: Any) -> Any:
        self.options += [name for name in names if name.startswith("--")]
        return super().add_argument(*names, **kwargs)

    def error(self, message: str) -> Any:
        _tell(f"{self.prog}: error: {_line(message)}")
        self.exit(2)

    def _print_message(self, message: str, file: Any = None) -> None:
        """What argparse prints by itself: its help and the version."""
        _say(message, end="")

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """The arguments, all of which must be known."""
        args, rest = self.parse_known_args(argv)
        if rest and rest[0].startswith("--"):
            self.error(str(unknown("option", rest[0].partition("=")[0], self.options)))
        elif rest:
            self.error(f"unexpected argument '{rest[0]}'")
        return args


def main(argv: list[str] | None = None) -> int:
    """Run a command line, that of the process where none is given, and return its exit code."""
    _plug()
    if hasattr(sys.stdout, "reconfigure"):
        # a terminal that cannot show a sign must not end a run
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _say("", end="")  # told at once if stdout is closed, and not after hours of training
        return _run(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        _tell(f"nobackprop: {_line(str(error))}")
        return 2
    except KeyboardInterrupt:
        _tell("nobackprop: interrupted")
        return 1
    except MemoryError as error:
        _tell(f"nobackprop: out of memory: {_line(str(error) or 'no more is to be had')}")
        return 1
    except BrokenPipeError:
        return 1
    finally:
        _settle()


def _run(argv: list[str]) -> int:
    parser, commands = _parsers()
    try:
        if argv and argv[0] in commands:
            args = commands[argv[0]].parse(argv[1:])
            return args.handler(args)
        if argv and not argv[0].startswith("-"):
            raise unknown("command", argv[0], commands)
        parser.parse(argv)
        parser.print_help()
        return 0
    except SystemExit as stop:
        return int(stop.code or 0)


# ---------------------------------------------------------------- what is printed


def _say(text: str, end: str = "\n") -> None:
    """Print to stdout.

    Raises InputError if it is closed or full, and BrokenPipeError if its reader went away.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write to standard output ({error.strerror}): expected a terminal, a pipe or a file "
                         "with room") from None


def _tell(text: str) -> None:
    """Print to stderr; nothing happens if it is closed or full, as the exit code says enough."""
    with suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


def _line(text: str) -> str:
    """A text as one line that a terminal can show, words of more than 120 letters shortened."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return re.sub(r"\S{120,}", lambda word: f"{word[0][:60]}...{word[0][-20:]}", text)


def _plug() -> None:
    """Open descriptors 0 to 2 if they are closed: the next file would get their number, and then what is for them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _settle() -> None:
    """Drop what stdout and stderr cannot take: Python would try it again at exit, and exit with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# ---------------------------------------------------------------- what was typed


def _integer(text: str, low: int, high: int, wanted: str) -> int:
    try:
        value = int(text)
    except ValueError:
        # Python converts no more than 4300 digits
        value = high + 1 if text.isdecimal() else low - 1
    if low <= value <= high:
        return value
    raise argparse.ArgumentTypeError(f"got '{text}', expected {wanted if value < low else f'at most {high}'}")


def _count(text: str) -> int:
    return _integer(text, 1, sys.maxsize, "an integer from 1 on")


def _threads(text: str) -> int:
    if text == "all":
        from .compare import cores

        return cores()
    return _integer(text, 1, 1024, "an integer from 1 to 1024, or all")


def _number(text: str, wanted: str, fits: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not fits(value):
        raise argparse.ArgumentTypeError(f"got '{text}', expected {wanted}")
    return value


def _positive(text: str) -> float:
    return _number(text, "a number above 0", lambda value: value > 0)


def _not_negative(text: str) -> float:
    return _number(text, "a number from 0 on", lambda value: value >= 0)


def _list(text: str, wanted: str, between: str = ",") -> list[str]:
    parts = [part.strip() for part in text.split(between)]
    if not all(parts):
        raise argparse.ArgumentTypeError(f"got '{text}', expected {wanted}")
    return parts


def _once(values: list[Any], text: str, what: str) -> list[Any]:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise argparse.ArgumentTypeError(f"got '{text}', expected every {what} once, not {value} again")
    return values


def _rules(text: str) -> list[str]:
    return _once(_list(text, "names of rules with commas between, such as bp,las"), text, "rule")


def _seeds(text: str) -> list[int]:
    wanted = "integers from 0 on with commas between, such as 0,1,2"
    try:
        values = [int(part) for part in _list(text, wanted)]
    except ValueError:
        values = [-1]
    if min(values) < 0:
        raise argparse.ArgumentTypeError(f"got '{text}', expected {wanted}")
    return _once(values, text, "seed")


# ---------------------------------------------------------------- the commands and their options


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the whole and that of every command."""
    parser = Parser(prog="nobackprop", description="How networks learn without backpropagation.")
    parser.add_argument("--version", action="version", version=f"nobackprop {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name: str, handler: Callable[[argparse.Namespace], int], summary: str) -> Parser:
        new = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        new.set_defaults(handler=handler)
        return new

    compare = command("compare", _compare, "train the same networks under several rules and compare them")
    compare.add_argument("--rules", type=_rules, metavar="RULE,...",
                         help="see nobackprop rules; default: bp,shallow,fa,dfa,las,ltas")
    _training(compare)

    train = command("train", _compare, "train a network under one rule")
    train.add_argument("--rule", dest="rules", type=lambda name: [name], default=["las"], metavar="RULE",
                       help="see nobackprop rules; default: las")
    _training(train)

    plot = command("plot", _plot, "draw the figure of a results.json again")
    plot.add_argument("results", metavar="results.json")
    plot.add_argument("--out", metavar="FILE", help="a .png, .svg or .pdf; default: figure.png beside it")

    for name, what in (("rules", "learning rules"), ("models", "networks"), ("datasets", "data sets")):
        command(name, {"rules": _list_rules, "models": _list_models, "datasets": _list_datasets}[name],
                f"list the {what}")

    equations = command("equations", _equations, "say where the papers' equations are in the code")
    equations.add_argument("paper", nargs="?", metavar="PAPER")
    equations.add_argument("number", nargs="?", metavar="NUMBER")

    command("locality", _locality, "show what each rule reads: weight transport, locking, pairing")

    papers = command("papers", _papers, "list the papers' tables and figures, or run one again")
    papers.add_argument("action", nargs="?", choices=("list", "show", "run"), default="list",
                        help="list them all; show what one prints and how it is read; run it; default: list")
    papers.add_argument("name", nargs="?", metavar="NAME", help="such as asap:table-3.1")
    papers.add_argument("--scale", default="smoke", metavar="SCALE",
                        help="smoke (seconds to minutes, says nothing), small (what docs/results.md shows), "
                             "full (as the paper); default: smoke")
    papers.add_argument("--only", type=lambda text: _list(text, "labels of arms with semicolons between", ";"),
                        metavar="ARM;...", help="some of its arms; default: all")
    papers.add_argument("--seeds", type=_seeds, metavar="N,...", help="default: the scale's")
    papers.add_argument("--threads", type=_threads, default=1, metavar="N", help="a number or all; default: 1")
    papers.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N; default: cpu")
    papers.add_argument("--data-dir", metavar="DIR", help="where the data set's files are")
    papers.add_argument("--download", action="store_true", help="fetch those files where they are missing")
    papers.add_argument("--out", metavar="DIR", help="a new or empty folder; default: the first free one of "
                                                     "runs/NAME-001, ...")

    memory = command("memory", _memory, "count and measure what a step stores under backpropagation and under sharing")
    memory.add_argument("--model", default="resnet18", help="default: %(default)s")
    memory.add_argument("--data", default="cifar-10", metavar="NAME", help="whose shape; default: %(default)s")
    memory.add_argument("--rule", default="asap", help="as or asap; default: %(default)s")
    memory.add_argument("--k", type=_count, metavar="N", help="layers that share, beside 2 and 4")
    memory.add_argument("--batch-size", type=_count, default=128, metavar="N", help="default: %(default)s")
    memory.add_argument("--figure", metavar="FILE", help="draw it to a .png, .svg or .pdf")
    memory.add_argument("--json", action="store_true", help="print JSON instead of text")

    bench = command("bench", _bench, "measure how long a training step takes")
    bench.add_argument("--model", default="mlp:1024,1024", help="default: %(default)s")
    bench.add_argument("--data", default="mnist", metavar="NAME", help="whose shape; default: %(default)s")
    bench.add_argument("--rule", default="bp", help="default: %(default)s")
    bench.add_argument("--batch-size", type=_count, default=64, metavar="N", help="default: %(default)s")
    bench.add_argument("--optimizer", default="adam", metavar="NAME", help="default: %(default)s")
    bench.add_argument("--steps", type=_count, metavar="N", help="how many to time; default: enough")
    bench.add_argument("--pipeline", type=_count, metavar="WORKERS",
                       help="measure components that learn at the same time, of a rule that can, such as al")
    bench.add_argument("--figure", metavar="FILE", help="draw what --pipeline measures to a .png, .svg or .pdf")
    bench.add_argument("--against", metavar="torch", help="measure PyTorch's backpropagation by turns with it")
    _machine(bench, "all")
    bench.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser, commands.choices


def _training(parser: Parser) -> None:
    """What stands in no option is the data set's default, or the rule's where it has one."""
    parser.add_argument("--data", default="digits", metavar="NAME",
                        help="see nobackprop datasets; default: digits")
    parser.add_argument("--model", help="see nobackprop models, such as mlp:128,128; default, as for all to "
                                        "--weight-decay: what suits the data set and the rule")
    parser.add_argument("--activation", metavar="NAME", help="relu, tanh, sigmoid or identity")
    parser.add_argument("--epochs", type=_count, metavar="N")
    parser.add_argument("--batch-size", type=_count, metavar="N")
    parser.add_argument("--optimizer", metavar="NAME", help="sgd, momentum, nesterov, adam or adamw")
    parser.add_argument("--lr", type=_positive, metavar="X", help="the learning rate")
    parser.add_argument("--schedule", metavar="NAME", help="of the learning rate: constant, step or cosine")
    parser.add_argument("--weight-decay", type=_not_negative, metavar="X")
    parser.add_argument("--augment", metavar="NAME,...",
                        help="of training images: flip, crop:4, jitter:2, cutout:8, randaugment:2:9; default: none")
    parser.add_argument("--seeds", type=_seeds, default=[0, 1, 2], metavar="N,...", help="default: 0,1,2")
    _machine(parser, "what suits the data set")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data set's files are")
    parser.add_argument("--download", action="store_true", help="fetch those files where they are missing")
    parser.add_argument("--out", metavar="DIR",
                        help="a new or empty folder; default: the first free one of runs/DATA-001, ...")


def _machine(parser: Parser, threads: str) -> None:
    parser.add_argument("--threads", type=_threads, metavar="N",
                        help=f"workers that share a step, a number or all; default: {threads}")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N; default: cpu")


# ---------------------------------------------------------------- what the commands do


def _compare(args: argparse.Namespace) -> int:
    from . import plots, results
    from .compare import RULES, TRAINING, Comparison, resolve
    from .learn import Diverged

    typed = {key: getattr(args, key) for key in TRAINING if getattr(args, key) is not None}
    config = resolve(args.data, args.rules or RULES, args.seeds, typed, args.device, args.threads)
    comparison = Comparison(config, args.data_dir, args.download)
    with results.folder(args.out, args.data) as folder:
        _say(_settings(config, folder))
        diverged, broken = None, None
        try:
            comparison.run()
        # a reader who went away must not cost what was measured either
        except (KeyboardInterrupt, BrokenPipeError) as error:
            config["interrupted"], broken = True, error
        except Diverged as error:
            config["diverged"], diverged = str(error), error
            comparison.results["runs"] = comparison.finished()
        runs = comparison.results["runs"]
        where = f"wrote {folder / 'results.json'} and {folder / 'figure.png'}" if runs else "wrote nothing"
        if runs:
            # written before it is shown: showing may fail, with a pipe that is closed
            results.write(folder / "results.json", comparison.results)
            plots.save(comparison.results, folder / "figure.png")
            _say(f"\n{results.table(comparison.results)}\n")
        if broken:
            _say(f"interrupted after {_reached(runs)}; {where}")
            return 1
        if runs:
            _say(where)
        if diverged:
            raise diverged
        return 0


def _settings(config: dict[str, Any], folder: Path) -> str:
    """One line each; what holds for one rule only, behind its name."""
    lines = [(key, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
             for key, value in config.items() if key != "rule_settings"]
    lines += [(f"of {rule}", ", ".join(f"{key} {value}" for key, value in settings.items()))
              for rule, settings in config["rule_settings"].items()]
    return "\n".join(f"{key.replace('_', ' '):14}{value}" for key, value in [*lines, ("out", str(folder))])


def _reached(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return "less than one epoch"
    run = runs[-1]
    return f"epoch {len(run['history'])} of {run['rule']}, seed {run['seed']}"


def _plot(args: argparse.Namespace) -> int:
    from . import papers, plots, results

    out = Path(args.results).parent / "figure.png" if args.out is None else Path(args.out)
    plots.check_ending(out)
    found = results.read(args.results)
    plots.write(papers.draw(found), out)
    _say(f"wrote {out}")
    return 0


def _list_rules(args: argparse.Namespace) -> int:
    from .rules import RULES, summary

    return _print_list({name: summary(name) for name in RULES})


def _list_models(args: argparse.Namespace) -> int:
    from .models import MODELS

    return _print_list({name: model.summary for name, model in MODELS.items()})


def _list_datasets(args: argparse.Namespace) -> int:
    from .data import DATASETS

    return _print_list({name: source.summary for name, source in DATASETS.items()})


def _print_list(summaries: dict[str, str]) -> int:
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        _say(f"{name:{width}}  {summary}")
    return 0


def _equations(args: argparse.Namespace) -> int:
    from .equations import show

    _say(show(args.paper, args.number))
    return 0


def _locality(args: argparse.Namespace) -> int:
    from .locality.pages import show

    _say(show())
    return 0


def _pipeline(args: argparse.Namespace) -> int:
    from . import plots, throughput
    from .results import strict

    if args.against is not None:
        raise InputError("--against and --pipeline measure different things: expected one of them")
    if args.figure is not None:
        plots.check_ending(args.figure)
    result = throughput.measure(args.model, args.data, args.rule, args.batch_size, args.optimizer, args.device,
                                args.pipeline, args.threads, args.steps)
    _say(json.dumps(strict(result), indent=1, allow_nan=False) if args.json else throughput.describe(result))
    if args.figure is not None:
        throughput.save(result, args.figure)
        _tell(f"wrote {args.figure}")
    return 0


def _bench(args: argparse.Namespace) -> int:
    if args.pipeline is not None:
        return _pipeline(args)
    if args.figure is not None:
        raise InputError("--figure draws what --pipeline measures: expected both or none")
    from .bench import describe, measure
    from .results import strict

    result = measure(model=args.model, data=args.data, rule=args.rule, batch_size=args.batch_size,
                     optimizer=args.optimizer, device=args.device, threads=args.threads, steps=args.steps,
                     against=args.against)
    _say(json.dumps(strict(result), indent=1, allow_nan=False) if args.json else describe(result))
    return 0


def _memory(args: argparse.Namespace) -> int:
    from . import memory, plots
    from .results import strict

    if args.figure is not None:
        plots.check_ending(args.figure)
    result = memory.measure(args.model, args.data, args.rule, args.k, args.batch_size)
    _say(json.dumps(strict(result), indent=1, allow_nan=False) if args.json else memory.describe(result))
    if args.figure is not None:
        plots.write(memory.draw(result), args.figure)
        _tell(f"wrote {args.figure}")
    return 0


def _papers(args: argparse.Namespace) -> int:
    from . import papers, plots, results

    if args.action == "list":
        return _print_list({name: exhibit.title for name, exhibit in papers.EXHIBITS.items()})
    if args.name is None:
        raise InputError(f"papers {args.action}: expected the name of a table or figure, see nobackprop papers")
    exhibit = papers.get(args.name)
    if args.action == "show":
        _say(exhibit.describe())
        return 0
    found = exhibit.check(args.scale, args.seeds, args.data_dir, args.download, args.threads, args.device, args.only)
    with results.folder(args.out, args.name.replace(":", "-")) as folder:
        done = found.run()
        results.write(folder / "results.json", done)
        plots.write(exhibit.draw(done), folder / "figure.png")
        _say(f"{exhibit.title} ({exhibit.name}, scale {args.scale})\n\n{papers.compare(done)}\n\n"
              f"{results.table(done)}\n\nwrote {folder / 'results.json'} and {folder / 'figure.png'}")
    return 0
