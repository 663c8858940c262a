"""`make ends`: commands that train are ended in every way, at random moments, and must lose nothing.

Each command is run once to its end.  Then it is started again and again, and ended at a moment that is drawn at
random: by SIGKILL, SIGTERM, SIGHUP or SIGINT, by a reader of its output that goes away, by a disk that is full, by a
folder that vanishes.  After SIGKILL and after signals it goes on with --resume, and its results must be equal to the
uninterrupted ones to the last bit, but for the seconds that it took.  After a full disk or a lost folder the results
that it has written elsewhere must be equal.  The table at the end is that of docs/reliability.md.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from records import without_seconds

ROOT = Path(__file__).resolve().parent.parent
SWEEP = """data = "digits"
rules = ["bp", "las"]
model = "mlp:16"
epochs = 3
lr = [1e-3, 1e-2]
seeds = [0, 1]
fresh_seeds = [7]
"""
COMMANDS = {
    "compare": ["compare", "--data", "digits", "--rules", "bp,las,dfa", "--model", "mlp:32", "--epochs", "6",
                "--seeds", "0,1", "--checkpoint-every", "1"],
    "papers": ["papers", "run", "al:table-6", "--scale", "smoke", "--checkpoint-every", "1"],
    "sweep": ["sweep", "{place}/sweep.toml", "--checkpoint-every", "1"],
}
RESUME = {"compare": ["compare"], "papers": ["papers", "run"], "sweep": ["sweep"]}
CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}


def start(arguments: list[str], **options: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "nobackprop", *arguments], text=True, env=environment,
                            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})


def bits(folder: Path) -> str:
    """What a folder's results say, without what no two runs have in common."""
    return without_seconds(json.loads((folder / "results.json").read_text()))


def epochs(folder: Path) -> int:
    """The number of epochs that are on disk, in whatever state the folder is."""
    found = 0
    for path in [folder / "results.json", *folder.glob("runs/*/results.json")]:
        if path.exists():
            found += sum(len(run["history"]) for run in json.loads(path.read_text())["runs"])
    return found


class Trials:
    """All trials with one command: the reference, and a table of what came of each way to end it."""

    def __init__(self, name: str, place: Path, seed: int):
        self.name, self.place = name, place
        self.command = [word.format(place=place) for word in COMMANDS[name]]
        self.rng = np.random.default_rng([seed, *name.encode()])
        begun = time.monotonic()
        with start([*self.command, "--out", str(place / "whole")]) as process:
            _, told = process.communicate()
        if process.returncode:
            raise SystemExit(f"{name} does not run: {told}")
        self.seconds, self.whole, self.counts = time.monotonic() - begun, bits(place / "whole"), Counter[str]()
        self.number = 0

    def folder(self) -> Path:
        self.number += 1
        return self.place / f"{self.name}-{self.number}"

    def moment(self) -> float:
        """A moment of the run; of the shortest that was seen, as the machine may have been busy with other things."""
        return float(self.rng.uniform(0, self.seconds))

    def fail(self, what: str, folder: Path, told: str = "") -> None:
        self.counts["failed"] += 1
        print(f"FAILED {self.name}, {what}, {folder}: {told[-2000:]}", flush=True)

    def ended(self, number: signal.Signals) -> None:
        """End the command by a signal at a random moment, go on, and compare."""
        out, begun = self.folder(), time.monotonic()
        with start([*self.command, "--out", str(out)], start_new_session=True) as process:
            try:
                process.wait(self.moment())
                self.seconds = min(self.seconds, time.monotonic() - begun)
                shutil.rmtree(out)
                return self.ended(number)  # it came too late
            except subprocess.TimeoutExpired:
                process.send_signal(number)
            shown, told = process.communicate()
        code, written = process.returncode, (out / "results.json").exists()
        if not written and code != 0 and "KeyboardInterrupt" in told:  # Python was still importing
            told = ""
        if code not in (0, CODES.get(number, -number), -number) or "Traceback" in told:
            return self.fail(number.name, out, f"{code} {told}")
        there = epochs(out)
        if code == CODES.get(number) and there and "rule" not in shown:
            return self.fail(f"{number.name}: no table", out, shown + told)
        if self.goes_on(out, number.name):
            self.counts["epochs on disk at the end"] += there
        return None

    def goes_on(self, out: Path, what: str) -> bool:
        """Run what was ended to its end, and compare."""
        if (out / "results.json").exists():
            arguments = [*RESUME[self.name], "--resume", str(out)]
        else:  # nothing had been measured
            arguments = [*self.command, "--out", str(out)]
        with start(arguments) as process:
            _, told = process.communicate()
        if process.returncode or "Traceback" in told or bits(out) != self.whole:
            self.fail(f"{what}, going on", out, told)
            return False
        self.counts[what] += 1
        shutil.rmtree(out)
        return True

    def pipe(self) -> None:
        """Close the reading end of what it prints."""
        out = self.folder()
        with start([*self.command, "--out", str(out)], stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(self.moment() / 2)
            except subprocess.TimeoutExpired:
                process.stdout.close()
            process.wait()
        self.goes_on(out, "a closed pipe")

    def elsewhere(self, what: str, out: Path, end: Any) -> None:
        """Take the folder away from the command, by `end`; its results must be where it says."""
        with start([*self.command, "--out", str(out)]) as process:
            while process.poll() is None and not (out / "results.json").exists():
                time.sleep(0.01)  # before that there is nothing that could be lost
            try:
                process.wait(self.moment() * 0.6)
                self.counts[f"{what}: came too late"] += 1
                process.communicate()
                return None
            except subprocess.TimeoutExpired:
                end(out)
            shown, told = process.communicate()
        places = [Path(found) for found in re.findall(r"wrote (\S+)/results\.json", shown)]
        if process.returncode or not places or "Traceback" in told or "rule" not in shown:
            return self.fail(what, out, f"{process.returncode} {shown} {told}")
        if places[0] == out and not (out / "results.json").exists():  # it went after all had been written
            self.counts[f"{what}: came too late"] += 1
            return None
        if bits(places[0]) != self.whole:
            return self.fail(f"{what}: other results", places[0], told)
        self.counts[what] += 1
        if places[0] != out:
            shutil.rmtree(places[0])
        return None

    def vanished(self) -> None:
        self.elsewhere("the folder vanishes", self.folder(), lambda out: shutil.rmtree(out, ignore_errors=True))

    def full(self, disk: Path) -> None:
        """Fill the disk up while the command runs; `disk` is a small one of its own."""
        def fill(_: Path) -> None:
            with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(2**12))
        try:
            self.elsewhere("the disk is full", disk / "out", fill)
        finally:
            for path in disk.iterdir():
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def small_disk(place: Path) -> Path | None:
    """A disk of 4 MiB, or None if this user cannot have one."""
    disk = place / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True,
                             check=False)
    return disk if mounted.returncode == 0 else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--others", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="ends-"))
    (place / "sweep.toml").write_text(SWEEP)
    disk, failed = small_disk(place), 0
    try:
        for name in options.commands.split(","):
            trials = Trials(name, place, options.seed)
            for _ in range(options.kills):
                trials.ended(signal.SIGKILL)
            for _ in range(options.others):
                for number in CODES:
                    trials.ended(number)
                trials.pipe()
                trials.vanished()
                if disk is not None:
                    trials.full(disk)
            failed += trials.counts["failed"]
            print(f"{name} ({trials.seconds:.1f} s uninterrupted): " + ", ".join(
                f"{what} {count}" for what, count in sorted(trials.counts.items())), flush=True)
    finally:
        if disk is not None:
            subprocess.run(["umount", str(disk)], check=False)
        if not failed:
            shutil.rmtree(place, ignore_errors=True)
    print("a full disk was not tried: this user cannot mount one" if disk is None else "a full disk: a tmpfs of 4 MiB")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
