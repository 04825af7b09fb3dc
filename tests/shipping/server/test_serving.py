"""A server as a process: it starts, is asked over the network, and finishes what is running when it is stopped."""

import gc
import io
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.colours import ABOUT, COLOURS, export
from tests.command import topwork

STARTED = re.compile(r"on (http://\S+:\d+) ")


class Server:
    """A running ``topwork serve``."""

    def __init__(self, *words):
        command = [sys.executable, "-m", "topwork", "serve", *map(str, words), "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        found = STARTED.search(line)
        if not found:
            self.process.kill()
            pytest.fail(f"the server did not start: {line}{self.process.stderr.read()}")
        self.url = found.group(1)
        self.port = int(self.url.rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == -signal.SIGTERM
        return self.process.stderr.read()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return export(tmp_path_factory.mktemp("served") / "colours.onnx", ABOUT)


@pytest.fixture(scope="module")
def server(file):
    with Server(file, "--timeout", "2", "--max-bytes", "100K") as running:
        yield running
        running.stop()


@pytest.fixture
def impatient(file):
    """Return a server for many requests that never end."""
    with Server(file, "--timeout", "1", "--max-bytes", "100K") as running:
        yield running
        running.stop()


def picture(colour="red", size=(20, 30)):
    made = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(made, "PNG")
    return made.getvalue()


def test_it_answers(server):
    assert httpx.get(f"{server.url}/healthz").json() == {"status": "ok"}
    assert httpx.post(f"{server.url}/predict", content=picture()).json()[0]["label"] == "red"


def test_a_second_server_on_the_port_is_refused(server, file):
    ran = topwork("serve", file, "--port", server.port)
    assert ran.status == 2
    assert ran.err == (
        f"UsageError: cannot listen on 127.0.0.1, port {server.port} (Address already in use). Choose another with "
        "--port or --host.\n"
    )


def test_a_client_that_stops_halfway_or_goes_away_disturbs_no_other(server):
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    halves = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    for number, one in enumerate(halves):
        one.sendall(head + b"x" * 10 * number)
    halves.pop().close()
    start = time.perf_counter()
    assert httpx.post(f"{server.url}/predict", content=picture("blue")).json()[0]["label"] == "blue"
    assert time.perf_counter() - start < 1.5
    halves[0].settimeout(10)
    assert halves[0].recv(100).startswith(b"HTTP/1.1 408")
    for one in halves:
        one.close()


WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        (b"", b"GET / HT"),
        (WHOLE + b"\r\n", b"GET / HT"),
        (WHOLE + b"\r\n", b"\r\n"),
        (WHOLE + b"Content-Length: 1000000\r\n\r\n", b"x"),
    ],
)
def test_a_request_that_never_ends_is_given_up_also_after_a_whole_one(server, first, rest):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        assert seconds_open(connection, first, rest) < 5


def test_a_head_that_is_too_long_is_refused_at_once(file):
    with (
        Server(file, "--timeout", "20") as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection,
    ):
        assert seconds_open(connection, b"", b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000) < 10


def seconds_open(connection, first, rest):
    """Send a request and wait for its answer; then send *rest*, and return after how long the server closes."""
    connection.sendall(first)
    answer = b""
    while first and not answer.endswith(b"}\n"):
        answer += connection.recv(1000)
    start = time.perf_counter()
    with suppress(ConnectionError):
        connection.sendall(rest)
        assert connection.recv(1000) in (b"", b"Invalid HTTP request received.")
    return time.perf_counter() - start


def test_what_is_running_is_finished_when_it_is_stopped(file):
    with Server(file) as running, ThreadPoolExecutor(6) as pool:
        request = httpx.Request("POST", running.url, files=[("file", ("a.png", picture(size=(4000, 4000))))] * 8)
        words = {"content": request.read(), "headers": {"content-type": request.headers["content-type"]}, "timeout": 60}
        asked = [pool.submit(httpx.post, f"{running.url}/predict", **words) for _ in range(6)]
        until = time.monotonic() + 30
        while "topwork_waiting 6.0" not in httpx.get(f"{running.url}/metrics").text and time.monotonic() < until:
            time.sleep(0.01)
        left = running.stop()
        answers = [one.result() for one in asked]
    assert all(one.status_code == 200 and one.json()[0]["label"] == "red" for one in answers)
    assert "Traceback" not in left


def mutated(draw, original: bytes) -> bytes:
    """Return bytes like *original*: cut off, with other bytes in places, or doubled."""
    data = bytearray(original)
    kind = draw.integers(4)
    if kind == 0:
        return bytes(data[: draw.integers(len(data))])
    if kind == 1:
        for place in draw.integers(len(data), size=draw.integers(1, 20)):
            data[place] = draw.integers(256)
        return bytes(data)
    if kind == 2:
        start, end = sorted(draw.integers(len(data), size=2))
        return bytes(data[:start] + data[end:] + data[start:end])
    return bytes(data + data[: draw.integers(len(data))])


def asked_raw(port: int, request: bytes) -> bytes:
    """Send bytes to the server and return the first line of its answer; empty if it closed the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        try:
            return connection.recv(200).split(b"\r\n")[0]
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.full)])
def test_mutated_pictures_and_requests_do_no_harm(impatient, count):
    draw = np.random.default_rng(0)
    kinds = []
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        made = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (24, 18, 3), np.uint8)).save(made, kind)
        kinds.append(made.getvalue())
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n' + kinds[0] + b"\r\n--b--\r\n"
    head = b"POST /predict?heat=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def one(number):
        own = np.random.default_rng(number)
        if number % 2:
            content = mutated(own, kinds[own.integers(len(kinds))])
            return client.post(f"{impatient.url}/predict", content=content).status_code
        line = asked_raw(impatient.port, mutated(own, whole))
        return int(line.split()[1]) if line else 0

    gc.disable()  # a long collection in this process looks like a client that sends nothing, and is given up
    try:
        with httpx.Client(headers={"Connection": "close"}, timeout=20) as client, ThreadPoolExecutor(16) as pool:
            asked = [pool.submit(one, number) for number in range(count)]
    finally:
        gc.enable()
    assert not {number: repr(one.exception()) for number, one in enumerate(asked) if one.exception()}
    statuses = [one.result() for one in asked]
    assert not {number: status for number, status in enumerate(statuses) if status >= 500 and status != 503}
    assert statuses.count(200) > count / 50
    assert statuses.count(422) > count / 50
    assert impatient.process.poll() is None
    assert httpx.post(f"{impatient.url}/predict", content=picture("green")).json()[0]["label"] == "green"
