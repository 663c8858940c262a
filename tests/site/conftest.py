"""A real Chromium over the built site: `make test-site` builds the site and runs the tests of this folder.

The browser is that of the system, driven by Playwright.  It can reach the loopback address and nothing else: no name
is resolved.  A page may not ask for anything else either, and it may not write an error to its console.
"""
import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LOOPBACK = "http://127.0.0.1"
PATIENCE = 120_000  # milliseconds: a page is there in a few seconds, unless other work keeps the machine
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing about it."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".svg": "image/svg+xml"}

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Says nothing if a browser leaves a page before all of it has come."""

    request_queue_size = 128  # a page asks for many files at once, and a busy machine answers late

    def handle_error(self, request, client_address):
        pass


@pytest.fixture(scope="session")
def site():
    """The folder of the built site."""
    folder = os.environ.get("NOBACKPROP_SITE")
    if not folder:
        pytest.skip("make test-site builds the site and runs these tests")
    assert Path(folder, "index.html").is_file(), f"no site in {folder}: make site builds it"
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def server(site):
    """The address of a server of the site on the loopback address, such as http://127.0.0.1:40123."""
    with Server(("127.0.0.1", 0), functools.partial(Handler, directory=site)) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"{LOOPBACK}:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser(site):
    """A headless Chromium for the whole session."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra 'site'")
    with api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def visit(browser, server):
    """A function that opens a page of the site: `visit("index.html", width=390, dark=False)` returns Playwright's page.

    What went wrong on the pages, such as an error in the console or a request to another host, ends the test at its
    end.  A test that expects a fault takes it out of `visit.faults`.
    """
    contexts, faults = [], []

    def noticed(page):
        page.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
        page.on("response", lambda answer: faults.append(f"{answer.status}: {answer.url}")
                if answer.status >= 400 else None)
        page.on("request", lambda request: faults.append(f"elsewhere: {request.url}")
                if request.url.startswith(("http:", "https:", "ws:", "wss:"))
                and not request.url.startswith(f"{server}/") else None)

    def open_page(address, width=1280, height=900, dark=False, wait="load"):
        context = browser.new_context(viewport={"width": width, "height": height},
                                      color_scheme="dark" if dark else "light")
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        noticed(page)
        page.goto(f"{server}/{address}", wait_until=wait)
        return page

    open_page.faults = faults
    yield open_page
    found = list(faults)  # what a page still loads when it is closed fails, and that is no fault
    for context in contexts:
        context.close()
    assert not found, "\n".join(found)


@pytest.fixture
def python(site):
    """Skips a test of pages that run Python if the site does not bring it: the network is closed."""
    if not (site / "playground" / "pyodide").is_dir():
        pytest.skip("no Python in this site: make site takes it from ../shared/pyodide, or from NOBACKPROP_PYODIDE")
