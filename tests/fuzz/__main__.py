"""`python -m tests.fuzz --seconds 400` fuzzes every target for so long; `--target NAME` one of them.  It needs atheris.

Whatever but InputError comes of an input is an escape: another exception, several lines, more memory than --memory, a
crash of the process (which is why each target has a process of its own) or a minute without an end.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .targets import TARGETS

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # files that are written thousands of times


def fuzz(name: str, seconds: float, out: Path, memory: int, seed: int) -> dict[str, Any]:
    """Fuzz one target for so many seconds, in a new process after every crash."""
    out.mkdir(parents=True, exist_ok=True)
    total: dict[str, Any] = {"target": name, "seconds": round(seconds), "inputs": 0, "told": 0, "escapes": {},
                                "crashes": 0, "memory": 0}
    end = time.monotonic() + seconds
    while (left := int(end - time.monotonic())) > 5:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder, (out / f"{name}.log").open("ab") as log:
            (out / f"{name}.json").unlink(missing_ok=True)
            child = subprocess.run(
                [sys.executable, "-m", "tests.fuzz.child", name, str(left), folder, str(out), str(memory), str(seed)],
                stdout=log, stderr=log, env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"})
        seed += 1
        if not (out / f"{name}.json").exists():
            raise SystemExit(f"{name} did not begin: see {out / name}.log (is atheris installed?)")
        seen = json.loads((out / f"{name}.json").read_text())
        (out / f"{name}.json").unlink()
        total |= {"inputs": total["inputs"] + seen["inputs"], "told": total["told"] + seen["told"],
                  "crashes": total["crashes"] + (child.returncode != 0),
                  "memory": max(total["memory"], seen["memory"])}
        for kind, count in seen["escapes"].items():
            total["escapes"][kind] = total["escapes"].get(kind, 0) + count
    return total


def main() -> int:
    """Print a line of Markdown for each target; 1 if anything escaped."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=TARGETS, help="default: all, one after the other")
    parser.add_argument("--seconds", type=float, default=60, help="for each target; default 60")
    parser.add_argument("--memory", type=int, default=256, metavar="MIB", help="more than this escapes; default 256")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="for logs and what escaped")
    args = parser.parse_args()
    print("| target | seconds | inputs | refused in a sentence | escapes | crashes and hangs | memory, MiB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    bad = False
    for name in args.target or TARGETS:
        seen = fuzz(name, args.seconds, args.out, args.memory, args.seed)
        kinds = seen["escapes"]
        assert isinstance(kinds, dict) and isinstance(seen["memory"], int)
        print(f"| {name} | {seen['seconds']} | {seen['inputs']:,} | {seen['told']:,} | {sum(kinds.values())} | "
              f"{seen['crashes']} | {seen['memory'] >> 20} |", flush=True)
        for kind, count in kinds.items():
            print(f"{name}: {count} of {kind}, kept in {args.out}", file=sys.stderr)
        bad |= bool(kinds or seen["crashes"])
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
