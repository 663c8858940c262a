"""One target in a process of its own, which may crash: tests.fuzz.child TARGET SECONDS FOLDER KEPT MEMORY SEED.

It writes what it has seen to KEPT/TARGET.json once a second, and the first input of every kind of escape beside it.
"""
from __future__ import annotations

import contextlib
import json
import random
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from hashlib import sha1
from pathlib import Path

MIB = 2**20


def peak() -> int:
    """The largest number of bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(name: str, seconds: str, where: str, kept: str, memory: str, seed: str) -> None:
    """Fuzz one target; it does not return."""
    import atheris

    with atheris.instrument_imports(include=["nobackprop", "zipfile", "gzip", "tarfile"]):
        from nobackprop.errors import InputError

        from .targets import TARGETS
    target, folder, out = TARGETS[name], Path(where), Path(kept)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    for content in target.seeds(scratch):
        (corpus / sha1(content).hexdigest()).write_bytes(content)
        with contextlib.suppress(InputError):
            target.run(scratch, content)  # what is imported on the way is not counted as an input's memory
    before = peak()
    # to ask for more than any input needs is refused, before the machine runs out of memory
    resource.setrlimit(resource.RLIMIT_AS, (8 * 1024 * MIB, resource.RLIM_INFINITY))
    inputs, told, escapes, written, limit = 0, 0, Counter[str](), 0.0, before + int(memory) * MIB

    def escaped(kind: str, content: bytes, why: str) -> None:
        if not escapes[kind]:
            mark = sha1(kind.encode()).hexdigest()[:12]
            (out / f"{name}-{mark}").write_bytes(content)
            (out / f"{name}-{mark}.txt").write_text(why, errors="backslashreplace")
        escapes[kind] += 1

    def one(content: bytes) -> None:
        nonlocal inputs, told, written, limit
        try:
            target.run(scratch, content)
        except InputError as error:
            told += 1
            if "\n" in str(error):
                escaped(f"several lines: {str(error)[:60]!r}", content, str(error))
        except Exception as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "nobackprop" in frame.filename]
            at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
            escaped(f"{type(error).__name__} at {at}", content, traceback.format_exc())
        inputs += 1
        if peak() > limit:
            escaped(f"memory: {(peak() - before) // MIB} MiB", content, "more memory than allowed")
            limit = peak() + int(memory) * MIB
        if time.monotonic() > written + 1:
            written = time.monotonic()
            (out / f"{name}.json").write_text(json.dumps({
                "inputs": inputs, "told": told, "escapes": dict(escapes), "memory": peak() - before}))

    def mutate(content: bytes, most: int, number: int) -> bytes:
        rng = random.Random(number)
        if target.mutate is not None and rng.random() < 0.9:
            try:
                return target.mutate(content, rng)[:most]
            except (ValueError, RecursionError):  # no longer of that form
                pass
        return atheris.Mutate(content, most)

    options = [f"-max_total_time={seconds}", f"-artifact_prefix={out}/{name}-", "-rss_limit_mb=0", "-timeout=60",
               f"-seed={seed}", "-max_len=100000", str(corpus)]
    if target.mutate is None:
        atheris.Setup([sys.argv[0], *options], one)
    else:
        atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
