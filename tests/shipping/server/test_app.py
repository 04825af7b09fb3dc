"""The application: what it answers, and what it refuses, without a process of its own."""

import asyncio
import base64
import io
import json
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

import topwork as tw
from tests.colours import ABOUT, COLOURS, TWO, about, export
from tests.tiny import tiny
from topwork.data.pictures import Fit
from topwork.errors import UsageError
from topwork.shipping.metadata import Input
from topwork.shipping.predictor import Predictor
from topwork.shipping.server import models
from topwork.shipping.server.app import App
from topwork.shipping.server.models import Model, opened
from topwork.shipping.server.settings import Settings
from topwork.system.machine import jobs


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("served")
    return [export(folder / "colours.onnx", ABOUT), export(folder / "pairs.onnx", TWO)]


def asked(files, *requests, **settings):
    """Return the responses of a server to requests; each is a method, an address and what httpx takes."""

    async def run():
        app = App(opened(files, 50), Settings(**settings)).starlette()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return [await client.request(method, address, **words) for method, address, words in requests]

    return asyncio.run(run())


def post(address="/predict", **words):
    return "POST", address, words


def picture(colour="red", kind="PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 30), COLOURS[colour]).save(file, kind)
    return file.getvalue()


def form(*colours):
    return [("file", (f"{colour}.png", picture(colour))) for colour in colours]


def test_a_picture_is_answered_as_predict_does(files):
    (one,) = asked(files[:1], post(content=picture()))
    (guess,) = Predictor(files[0])([picture()])
    assert one.status_code == 200
    assert one.json() == [guess.as_json() | {"path": "picture"}]


def test_several_pictures_have_their_names_and_an_error_each(files):
    some = [*form("red", "blue"), ("file", ("bad.png", b"no picture"))]
    (found,) = asked(files[:1], post(files=some))
    red, blue, bad = found.json()
    assert [(one["path"], one["label"]) for one in (red, blue)] == [("red.png", "red"), ("blue.png", "blue")]
    assert (bad["path"], bad["label"]) == ("bad.png", None)
    assert bad["error"] == "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"


def test_heat_maps_are_pictures(files):
    (found,) = asked(files[:1], post("/predict?heat=1", content=picture()))
    (heat,) = found.json()[0]["heat"]
    assert (heat["label"], heat["method"], heat["picture"]) == ("red", "occlusion", None)
    kind, data = heat["image"].split(",", 1)
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (299, 448)


def test_rows_of_several_pictures_come_by_their_names(files):
    rows = [("side", ("1.png", picture("red"))), ("front", ("2.png", picture("blue")))]
    rows += [("side", ("3.png", picture("blue"))), ("front", ("4.png", picture("red")))]
    found, lacking, bare, others = asked(
        files[1:], post(files=rows), post(files=rows[:3]), post(content=picture()), post(files=form("red"))
    )
    assert [(one["path"], one["label"]) for one in found.json()] == [("2.png", "blue"), ("4.png", "red")]
    assert lacking.status_code == bare.status_code == others.status_code == 400
    assert others.json() == lacking.json()
    assert lacking.json()["error"] == "expected files under the names 'front' and 'side', equally many of each."
    assert bare.json()["error"].startswith("the model takes the pictures 'front' and 'side' per row: send a form")


def test_several_models_are_named(files):
    ours, none, wrong, models = asked(
        files,
        post("/predict?model=colours", content=picture()),
        post(content=picture()),
        post("/predict?model=roses", content=picture()),
        ("GET", "/models", {}),
    )
    assert ours.json()[0]["label"] == "red"
    assert (none.status_code, none.json()) == (
        400, {"error": "several models are served: say which, as ?model=colours."},
    )  # fmt: skip
    assert (wrong.status_code, wrong.json()) == (
        404, {"error": "there is no model 'roses': expected 'colours' and 'pairs'."},
    )  # fmt: skip
    assert [(one["model"], one["labels"], one["pictures"]) for one in models.json()] == [
        ("colours", ["red", "green", "blue"], []),
        ("pairs", ["red", "green", "blue"], ["front", "side"]),
    ]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ({"content": b"no picture"}, 422, "not a picture: no JPEG, PNG, WebP, BMP, GIF or TIFF"),
        ({"content": b""}, 400, "the body is empty: send the bytes of a picture, or a form with files."),
        ({"files": [("file", ("empty.png", b""))]}, 422, "the file is empty"),
        ({"files": [("note", (None, "text"))]}, 400, "the form has no file: send the pictures as files."),
        ({"content": b"x" * 5001}, 413, "the request is larger than 5.0 KB."),
        ({"files": form(*["red"] * 4)}, 413, "more than 3 pictures in one request."),
        ({"files": form(*["red"] * 6)}, 413, "more than 3 pictures in one request."),
        (
            {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400,
            "the form is damaged (Missing boundary in multipart).",
        ),
        (
            {"content": b"--b\r\n\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400,
            'the form is damaged (The Content-Disposition header field "name" must be provided).',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(files, words, status, told):
    (found,) = asked(files[:1], post(**words), max_bytes=5000, max_pictures=3)
    assert (found.status_code, found.json()) == (status, {"error": told})


def test_a_picture_that_curl_changed_is_told_how_to_send_it(files):
    kind = {"content-type": "application/x-www-form-urlencoded"}
    whole, changed = asked(
        files[:1], post(content=picture(), headers=kind), post(content=picture().replace(b"\n", b""), headers=kind)
    )
    assert whole.status_code == 200
    assert changed.status_code == 422
    assert changed.json()["error"].endswith(" (with curl: --data-binary @FILE; --data changes the bytes)")


def test_a_mistyped_setting_is_refused(files):
    (found,) = asked(files[:1], post("/predict?het=1", content=picture()))
    assert (found.status_code, found.json()["error"]) == (400, "'het' cannot be set: expected model or heat.")


def test_a_body_without_a_length_is_measured_as_it_comes(files):
    async def blocks():
        for _ in range(100):
            yield b"x" * 1000

    (found,) = asked(files[:1], post(content=blocks()), max_bytes=5000)
    assert found.status_code == 413


def test_large_pictures_are_not_decoded(files):
    models = opened(files[:1], 500 / 1e6)

    async def run():
        transport = httpx.ASGITransport(App(models, Settings()).starlette())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/predict", content=picture())

    found = asyncio.run(run())
    assert found.status_code == 422
    assert found.json() == {"error": "0 megapixels, above the limit of 0"}


def test_a_token_is_needed_where_it_is_set(files):
    right = {"Authorization": "Bearer s3cret"}
    found = asked(
        files[:1],
        post(content=picture(), headers=right),
        post(content=picture()),
        post(content=picture(), headers={"Authorization": "Bearer s3cret2"}),
        ("GET", "/models", {}),
        ("GET", "/metrics", {}),
        ("GET", "/healthz", {}),
        ("GET", "/", {}),
        token="s3cret",
    )
    assert [one.status_code for one in found] == [200, 401, 401, 401, 401, 200, 200]
    assert found[1].headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "127.0.0.1:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"origin": "http://localhost"}, 200),
        ({"host": "evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_pages_of_other_sites_cannot_use_it(files, headers, status):
    """Also if the name of their site was changed to lead to this machine."""
    found = asked(files[:1], post(content=picture(), headers=headers), ("GET", "/models", {"headers": headers}))
    assert [one.status_code for one in found] == [status, status]


def test_a_form_in_another_charset_is_refused(files):
    """With some of Python's codecs, the time to decode a name is quadratic in its length; nothing is answered then."""
    name = b"abc-" + b"a" * 500_000
    body = b'--b\r\nContent-Disposition: form-data; name="f-' + name + b'"\r\n\r\nx\r\n--b--\r\n'
    start = time.perf_counter()
    for charset in ("punycode", "utf-7", "\xff"):
        kind = f"multipart/form-data; boundary=b; charset={charset}".encode("latin-1")
        (found,) = asked(files[:1], post(content=body, headers={"content-type": kind}))
        assert found.status_code == 400
        assert found.json()["error"].startswith("the form has the charset '")
    (found,) = asked(files[:1], post(files=[("file", ("é花.png", picture()))]))
    assert found.json()[0]["path"] == "é花.png"
    assert time.perf_counter() - start < 20


def test_a_fault_of_the_server_is_told_as_such(files, monkeypatch):
    monkeypatch.setattr(Model, "lent", lambda _: 1 / 0)

    async def run():
        transport = httpx.ASGITransport(App(opened(files[:1], 50), Settings()).starlette(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/predict", content=picture()), await client.get("/metrics")

    found, metrics = asyncio.run(run())
    assert (found.status_code, found.json()) == (500, {"error": "the server failed: its log says why."})
    assert 'topwork_requests_total{status="500"} 1.0' in metrics.text


def test_a_format_whose_sessions_are_not_shared_is_asked_by_several_threads(pictures, tmp_path):
    run = tw.train(pictures, phases=[tw.Phase("tiny@pool")], backbones=[tiny()], out=tmp_path / "run", progress=False)
    run.export(tmp_path / "m.xml", progress=False)
    paths = sorted(pictures.rglob("*.png"))[:24]
    expected = [guess.as_json() for guess in tw.Predictor(tmp_path / "m.xml")(paths)]
    some = [("file", (path.name, path.read_bytes())) for path in paths]
    *found, models = asked([tmp_path / "m.xml"], *[post(files=some)] * 3, ("GET", "/models", {}))
    for one in found:
        for ours, theirs in zip(one.json(), expected, strict=True):
            assert ours["label"] == theirs["label"]
            assert ours["distance"] == pytest.approx(theirs["distance"], abs=1e-4)
    assert models.json()[0]["model"] == "m"


def test_other_addresses_and_methods_are_refused(files):
    found = asked(files[:1], ("GET", "/predict", {}), ("GET", "/predict/", {}), ("POST", "/models", {}))
    assert [one.status_code for one in found] == [405, 404, 405]
    assert [one.json()["error"] for one in found] == [
        "expected POST for /predict, and GET for the other addresses.",
        "there is nothing at this address: expected /, /predict, /models, /healthz, /metrics or /openapi.json.",
        "expected POST for /predict, and GET for the other addresses.",
    ]


def test_the_page_is_served_under_its_policy(files):
    (found,) = asked(files[:1], ("GET", "/", {}))
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert "connect-src 'self'" in found.headers["content-security-policy"]
    assert "<title>" in found.text


def test_what_happened_is_counted(files):
    *_, found = asked(
        files[:1],
        post(content=picture()),
        post(content=b"bad"),
        post(files=form("red", "blue")),
        ("GET", "/metrics", {}),
    )
    assert 'topwork_requests_total{status="200"} 2.0' in found.text
    assert 'topwork_requests_total{status="422"} 1.0' in found.text
    assert 'topwork_pictures_total{result="answered"} 3.0' in found.text
    assert "topwork_waiting 0.0" in found.text


def test_the_addresses_are_described(files):
    (found,) = asked(files[:1], ("GET", "/openapi.json", {}), token="t")
    text = found.json()
    assert set(text["paths"]) == {"/predict", "/models", "/healthz", "/metrics"}
    statuses = set(text["paths"]["/predict"]["post"]["responses"])
    assert statuses == {"200", "400", "401", "403", "404", "408", "413", "422", "500", "503"}
    for name in json.dumps(text).split("#/components/schemas/")[1:]:
        assert name.split('"')[0] in text["components"]["schemas"]


class Slow(Model):
    """A model that answers when it is let."""

    def __init__(self, path):
        super().__init__(path, 50)
        self.go = threading.Event()

    @contextmanager
    def lent(self):
        self.go.wait(20)
        yield self.first


def together(model, count, settings, until):
    """Return the responses to *count* requests at once; *until* decides when the model may answer."""

    async def run():
        transport = httpx.ASGITransport(App({"slow": model}, settings).starlette())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            tasks = [asyncio.create_task(client.post("/predict", content=picture())) for _ in range(count)]
            while not until(tasks):
                await asyncio.sleep(0.01)
            model.go.set()
            return await asyncio.gather(*tasks)

    return asyncio.run(run())


def test_with_many_requests_waiting_further_ones_are_refused(files):
    model = Slow(files[0])
    count = 3 + jobs() + 8
    found = together(model, count, Settings(max_waiting=3), lambda tasks: sum(one.done() for one in tasks) >= 8)
    busy = [one for one in found if one.status_code == 503]
    assert len(busy) == 8
    assert len(busy) + sum(one.status_code == 200 for one in found) == count
    assert all(one.headers["retry-after"] == "1" for one in busy)


def test_an_answer_that_takes_too_long_is_given_up(files):
    model = Slow(files[0])
    start = time.perf_counter()
    (found,) = together(model, 1, Settings(timeout=0.2), lambda tasks: tasks[0].done())
    assert found.status_code == 503
    assert time.perf_counter() - start < 10


def test_after_a_client_has_gone_no_further_picture_is_begun(files, monkeypatch):
    monkeypatch.setattr(models, "jobs", lambda: 2)
    model = Slow(files[0])
    begun = []

    @contextmanager
    def lent():
        begun.append(1)
        with Slow.lent(model) as one:
            yield one

    model.lent = lent

    async def run():
        app = App({"slow": model}, Settings()).starlette()
        request = httpx.Request("POST", "http://localhost/predict", files=form(*["red"] * 30))
        messages = [{"type": "http.request", "body": request.read()}]
        sent = []

        async def receive():
            if messages:
                return messages.pop()
            while len(begun) < 2:
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b""}
        await app(scope | {"headers": [(name.lower(), value) for name, value in request.headers.raw]}, receive, send)
        model.go.set()
        return sent

    (start, _) = asyncio.run(run())
    assert start["status"] == 400
    assert len(begun) == 2


def test_a_request_that_stops_halfway_is_given_up(files):
    async def blocks():
        yield b"x"
        await asyncio.sleep(30)

    (found,) = asked(files[:1], post(content=blocks()), timeout=0.2)
    assert (found.status_code, found.json()) == (408, {"error": "the request was not complete after 0.2 s."})


def test_files_with_one_name_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(tmp_path / name / "m.onnx", about(Input("pixels", None, Fit((12, 16)))))
    with pytest.raises(UsageError, match=r"would both be served as 'm': rename one\."):
        opened([tmp_path / "a" / "m.onnx", tmp_path / "b" / "m.onnx"], 50)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "example.org", "::"])
def test_others_need_a_token_unless_all_are_let_in(host):
    with pytest.raises(UsageError, match="other machines could use the server, and no token is set"):
        Settings(host)
    assert Settings(host, token="t").token == "t"
    assert Settings(host, is_open=True).is_open


@pytest.mark.parametrize("token", ["", "é", "a\nb"])
def test_a_token_that_no_header_can_have_is_refused(token):
    with pytest.raises(UsageError, match="is empty or has characters that a header cannot have"):
        Settings(token=token)


@pytest.mark.parametrize(
    "words", [{"max_bytes": 0}, {"max_pixels": -1}, {"timeout": 0.0}, {"timeout": float("nan")}, {"max_pictures": 0}]
)
def test_limits_are_above_zero(words):
    with pytest.raises(UsageError, match="expected a number above 0"):
        Settings(**words)
