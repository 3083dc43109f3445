"""Scripts and styles of others: which ones, under which licence, and that nothing in them was changed."""

import json
from hashlib import sha256

from gateway.console.rendering import STATIC

VENDOR = STATIC / "vendor"


def test_each_file_is_the_published_one_and_has_its_licence() -> None:
    listed = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))
    files = {path.name for path in VENDOR.iterdir() if path.is_file()}
    assert files == {entry["file"] for entry in listed} | {"vendor.json"}
    for entry in listed:
        assert sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
        assert entry["version"] in entry["file"]
        assert len((VENDOR / entry["license_file"]).read_text(encoding="utf-8")) > 400
