"""The page is one document that fetches nothing, whatever the names of the classes are."""

import json
import re
from importlib.resources import files

import pytest

from topwork.shipping.page import assembled, contents
from topwork.shipping.page.runtime import Runtime

HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "a/b", "unknown", "é花", '"quoted"']


@pytest.fixture(scope="module")
def inside():
    return assembled.with_model(b"a model", {"labels": HOSTILE}, Runtime(b"a module", b"wasm"))


def test_what_is_inside_is_read_back(inside):
    page = inside.encode()
    assert json.loads(contents.about(page)) == {"labels": HOSTILE}
    assert contents.model(page) == b"a model"
    assert "Copyright (c) Microsoft Corporation" in inside


def test_metadata_are_replaced_and_cannot_end_their_element(inside):
    text = json.dumps({"labels": HOSTILE[::-1]}, ensure_ascii=False)
    page = contents.described(inside.encode(), text)
    assert json.loads(contents.about(page)) == json.loads(text)
    assert contents.model(page) == b"a model"
    assert contents.without_metadata(page) == contents.without_metadata(inside.encode())
    assert page.count(b"<script") == inside.count("<script")
    assert b"alert(1)</script" not in page


def test_the_same_model_makes_the_same_page(inside):
    assert inside == assembled.with_model(b"a model", {"labels": HOSTILE}, Runtime(b"a module", b"wasm"))


@pytest.mark.parametrize("which", ["served", "inside"])
def test_a_page_names_nothing_elsewhere(inside, which):
    page = assembled.served() if which == "served" else inside
    assert not re.findall(r"https?://|\bsrc=|@import|url\(|<link[^>]+href=\"(?!data:)", page)
    assert page.startswith('<!doctype html>\n<html lang="en">')


def test_each_page_has_its_policy(inside):
    assert assembled.POLICY_INSIDE.replace("'", "&#39;") in inside
    assert "connect-src 'none'" in assembled.POLICY_INSIDE
    assert "connect-src 'self'" in assembled.POLICY_SERVED  # sent as a header
    for policy in (assembled.POLICY_INSIDE, assembled.POLICY_SERVED):
        assert policy.startswith("default-src 'none';")
        assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")


def test_only_the_page_of_a_server_has_a_field_for_a_token(inside):
    assert 'id="token"' in assembled.served()
    assert 'id="token"' not in inside
    assert "sent to the server" in assembled.served()
    assert "stay on this computer" in inside


def light(colour):
    """Return the relative luminance of a colour, by the definition of WCAG 2."""
    whole = colour * 2 if len(colour) == 3 else colour
    values = [int(whole[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(scheme):
    css = (files("topwork.shipping.page") / "page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): #([0-9a-f]+);", blocks[scheme == "dark"]))
    pairs = [(text, ground) for text in ("ink", "soft", "warn", "bad") for ground in ("page", "card")]
    for text, ground in [*pairs, ("on-accent", "accent"), ("accent", "page")]:
        high, low = sorted((light(colours[text]), light(colours[ground])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


@pytest.mark.parametrize("page", [b"", b"<!doctype html><title>another page</title>"])
def test_another_page_has_no_model(page):
    with pytest.raises(ValueError, match="it is a page without a model"):
        contents.model(page)


def test_a_damaged_model_is_told(inside):
    with pytest.raises(ValueError, match="its model is damaged"):
        contents.model(inside.encode().replace(contents.packed(b"a model").encode(), b"AAAA"))
