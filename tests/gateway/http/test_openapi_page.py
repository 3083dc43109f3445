"""The page of /docs, and the errors in the OpenAPI document that it shows."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.core.errors import ProviderRejected
from gateway.http.openapi.document import FOLDER, document, document_json, error_classes
from gateway.http.openapi.page import document_page
from tests.gateway.running import entry, gateway

ADDRESS = "http://gateway.example:8443"


class Anchors(HTMLParser):
    """Collects the targets and the links of a page, and notices elements that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.names.append(given["id"] or "")
        if tag == "a":
            self.links.add(given.get("href") or "")
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_link_leads_to_a_part_of_the_page() -> None:
    page = Anchors()
    page.feed(document_page(ADDRESS, keys=False))
    assert page.open == []
    assert len(page.names) == len(set(page.names))
    tried = {f"/ui/try/{name}" for name in page.names}
    assert page.links - {f"#{name}" for name in page.names} - tried == {"/openapi.json", "/ui"}
    for operations in document()["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict):
                assert f"#{operation['operationId']}" in page.links


def test_every_error_is_described_in_words() -> None:
    names = set(error_classes())
    for answer in document()["components"]["responses"].values():
        for line in answer["description"].split("\n"):
            code, meaning = re.fullmatch(r"- `(\w+)`: (.+)", line).groups()  # type: ignore[union-attr]
            assert meaning not in names
            assert " " in meaning, code
    of_provider = document()["components"]["responses"]["Error4XX"]
    assert list(of_provider["content"]["application/json"]["examples"]) == ["provider_rejected"]
    assert ProviderRejected(400, {}, "rejected").code == "provider_rejected"


def test_every_reference_leads_to_a_component_and_every_component_has_one_name() -> None:
    components = document()["components"]
    for room, name in set(re.findall(r"#/components/(\w+)/([^\"]+)", document_json().decode())):
        assert name in components[room], (room, name)
    for file in FOLDER.glob("*.yaml"):
        names = re.findall(r"^([\w/{}-]+):", file.read_text(), re.MULTILINE)
        assert len(names) == len(set(names)), file


@pytest.mark.parametrize("keys", [False, True])
def test_examples_have_the_address_and_a_key_where_one_is_needed(keys: bool) -> None:
    page = document_page(ADDRESS, keys=keys)
    assert f"curl {ADDRESS}/v1/chat/completions" in page
    assert f"base_url=&quot;{ADDRESS}/v1&quot;" in page
    assert f"baseURL: &quot;{ADDRESS}/v1&quot;" in page
    assert "127.0.0.1" not in page
    assert ("$LOCUS_KEY" in page) == keys
    assert ("os.environ[" in page) == keys


@pytest.mark.anyio
async def test_the_page_shows_the_address_that_the_client_used(tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")]) as run:
        page = (await run.http.get("/docs", headers={"host": "locus.example"})).text
        assert "curl http://locus.example/v1/models" in page
        odd = (await run.http.get("/docs", headers={"host": '"><b>x'})).text
        assert "<b>x" not in odd
