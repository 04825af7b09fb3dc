"""Firefox, headless, through WebDriver BiDi (w3c.github.io/webdriver-bidi): Playwright drives only its own Firefox."""

import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class Tab:
    """The only tab of a browser, and what pages wrote to its console.

    Args:
        socket: the connection to the browser.
    """

    def __init__(self, socket: Any) -> None:
        self._socket, self._numbers, self.complaints = socket, itertools.count(1), list[str]()
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._context = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def open(self, page: Path) -> None:
        """Open a page from ``file://``."""
        self._ask("browsingContext.navigate", context=self._context, url=page.as_uri(), wait="complete")

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; if it is a promise, its result."""
        found = self._evaluated(f"Promise.resolve({expression}).then((value) => JSON.stringify(value))")
        return json.loads(found["value"])

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in a field."""
        element = self._evaluated(f"document.querySelector({json.dumps(selector)})")
        files = [str(file) for file in files]
        self._ask("input.setFiles", context=self._context, element={"sharedId": element["sharedId"]}, files=files)

    def _evaluated(self, expression: str) -> dict[str, Any]:
        target = {"context": self._context}
        answer = self._ask("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer
        return answer["result"]

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=120))
            if message.get("method") == "log.entryAdded":
                self.complaints.append(message["params"]["text"])
            elif message.get("id") == number:
                assert message["type"] == "success", message
                return message["result"]


@contextmanager
def firefox(profile: Path) -> Iterator[Tab]:
    """Start Firefox with the new folder *profile*, and yield its tab. Tests are skipped if it is not installed."""
    websockets = pytest.importorskip("websockets.sync.client", reason="websockets, which reaches Firefox, is missing")
    if not FIREFOX:
        pytest.skip("no firefox is installed")
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    told = profile / "stderr.txt"
    with told.open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    try:
        with websockets.connect(f"{_address(process, told)}/session", max_size=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], told: Path, seconds: float = 60) -> str:
    """Return where a browser listens, once it says so."""
    until = time.monotonic() + seconds
    while not (found := LISTENING.search(told.read_text(errors="replace"))):
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"Firefox does not listen: {told.read_text(errors='replace')}")
        time.sleep(0.1)
    return found.group(1)
