"""The page in a browser: no request to a network, no error, links that open pictures, no line that is too wide."""

import json
import re
import shutil
import subprocess
from html import escape
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from tests.scoring.report.test_page import EVIL, HEBREW, summary
from topwork.scoring.report.page import paths_shown, render
from topwork.scoring.report.thumbnails import of_pixels

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
"""The browser itself then asks for no updates and dictionaries."""

LONG = "a_class_with_a_name_of_one_word_that_is_longer_than_a_phone_is_wide_" * 2

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def text():
    one = summary(("daisy", EVIL, HEBREW, LONG))
    colours = np.random.default_rng(0).integers(0, 255, (len(paths_shown(one)), 3), np.uint8)
    small = {path: of_pixels(np.full((72, 96, 3), c, np.uint8)) for path, c in zip(paths_shown(one), colours)}
    return render([one], small, {})


def browse(tmp_path, text, *words, fragment=""):
    """Open a page in a browser without a window; return the document after its scripts, and what the browser logged."""
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", *QUIET, *words]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000"]
    url = f"file://{quote(str(file))}{fragment}"
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def requested(tmp_path, text, fragment=""):
    """Return the document, what the browser logged, and the addresses that it asked for, without those of its maker."""
    log = tmp_path / "net.json"
    document, errors = browse(tmp_path, text, "--dump-dom", f"--log-net-log={log}", fragment=fragment)
    events = json.loads(log.read_text())["events"]
    urls = [one["params"]["url"] for one in events if "url" in one.get("params", {})]
    own = ("google.com", "googleapis.com", "gvt1.com")
    return document, errors, {url for url in urls if re.match("https?:|wss?:", url) and not any(o in url for o in own)}


def test_a_number_of_the_matrix_opens_its_pictures_and_nothing_is_requested(text, tmp_path):
    document, errors, urls = requested(tmp_path, text, "#c1")
    assert re.search(r'<details id="c1" open="">', document)
    assert not re.search(r'<details id="c2" open="">', document)
    assert "CONSOLE" not in errors, errors
    assert urls == set()


def test_the_filter_opens_the_cells_that_have_the_picture(tmp_path):
    names = [f"class{i}" for i in range(8)]
    one = summary(names, count=900, pull=0.1)
    assert len(one.confusion) > 30, "there is a filter"
    wanted = one.confusion[3].answers[0].path
    typed = f"const box = document.querySelector('[data-filter=cells]'); box.value = {json.dumps(wanted)};"
    typed += "box.dispatchEvent(new Event('input'));"
    page = render([one], {}, {}).replace("</body>", f"<script>{typed}</script></body>")
    document, errors = browse(tmp_path, page, "--dump-dom")
    assert "CONSOLE" not in errors, errors
    having = [n for n, cell in enumerate(one.confusion) if any(wanted in answer.path for answer in cell.answers)]
    assert sorted(int(n) for n in re.findall(r'<details id="c(\d+)" open="">', document)) == having
    assert len(re.findall(r'<details id="c\d+" hidden="">', document)) == len(one.confusion) - len(having)


def test_a_request_and_an_error_would_be_seen(tmp_path):
    fault = '<img src="http://127.0.0.1:9/x.png"><script>nowhere()</script>'
    _, errors, urls = requested(tmp_path, f"<!doctype html>{fault}")
    assert urls == {"http://127.0.0.1:9/x.png"}
    assert "CONSOLE" in errors


@pytest.mark.parametrize("width", [360, 1280])
def test_no_line_is_wider_than_the_window(text, tmp_path, width):
    frame = f'<iframe srcdoc="{escape(text)}" style="width:{width}px;height:900px;border:0"></iframe>'
    measure = "<script>onload = () => { const page = document.querySelector('iframe').contentDocument;"
    measure += "document.title = page.documentElement.scrollWidth; }</script>"
    document, _ = browse(tmp_path, f"<!doctype html><title></title>{frame}{measure}", "--dump-dom")
    assert int(re.search(r"<title>(\d+)</title>", document)[1]) <= width


def test_the_page_is_dark_where_the_user_prefers_that(text, tmp_path):
    shades = []
    for words in ((), ("--blink-settings=preferredColorScheme=0",)):
        shot = tmp_path / "shot.png"
        browse(tmp_path, text, "--hide-scrollbars", "--window-size=800,600", f"--screenshot={shot}", *words)
        with Image.open(shot) as image:
            shades.append(np.asarray(image.convert("L")).mean())
    light, dark = shades
    assert light > 200 > 80 > dark


def test_without_scripts_the_pictures_can_still_be_opened(text):
    assert text.count("<details") == text.count("<summary>")
    assert "onclick" not in text
