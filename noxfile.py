"""The fast tests on other Pythons, and on the oldest versions that setup.cfg allows; `make portable` runs all of it."""
from __future__ import annotations

import configparser
import os
from pathlib import Path

import nox

# nox looks for interpreters on the PATH, and pyenv keeps all but one elsewhere
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
os.environ["PATH"] = os.pathsep.join([*map(str, sorted(PYENV.glob("versions/*/bin"))), os.environ["PATH"]])

nox.options.reuse_existing_virtualenvs = True


def run_tests(session: nox.Session, *packages: str) -> None:
    try:
        session.install("--upgrade", "--editable", ".[dev]", *packages)
    except nox.command.CommandFailed:
        session.skip("pip could not install what it needs, see above")
    session.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-n", "logical", "--dist", "worksteal",
                "-m", "not gpu and not slow",
                env={"OPENBLAS_NUM_THREADS": "1", "HYPOTHESIS_PROFILE": "dev"})


@nox.session(python=["3.11", "3.12", "3.13"])
def newest(session: nox.Session) -> None:
    run_tests(session)


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """Each package at its lower bound, and of the same age what matplotlib needs: a newer one deprecates its calls."""
    config = configparser.ConfigParser()
    config.read("setup.cfg")
    bounds = config["options"]["install_requires"].split() + config["options.extras_require"]["dev"].split()
    run_tests(session, *(bound.replace(">=", "==") for bound in bounds), "pyparsing==3.1.*")
