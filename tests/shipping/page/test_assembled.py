"""The page is one document that fetches nothing, whatever the names of the classes are."""

import json
import re

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


@pytest.mark.parametrize("page", [b"", b"<!doctype html><title>another page</title>"])
def test_another_page_has_no_model(page):
    with pytest.raises(ValueError, match="it is a page without a model"):
        contents.model(page)


def test_a_damaged_model_is_told(inside):
    with pytest.raises(ValueError, match="its model is damaged"):
        contents.model(inside.encode().replace(contents.packed(b"a model").encode(), b"AAAA"))
