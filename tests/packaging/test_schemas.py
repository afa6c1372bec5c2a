"""Every kind of document that the packages name has a schema that ships, and the other way round."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    ROOT / "runtime" / "cifar_runtime",
    ROOT / "train" / "cifar_data",
    ROOT / "train" / "cifar_train",
    ROOT / "export" / "cifar_export",
    ROOT / "export" / "cifar_make",
    ROOT / "benchmarks" / "cifar_eval",
    ROOT / "benchmarks" / "cifar_bench",
    ROOT / "maintain" / "cifar_maintain",
]
SCHEMAS = sorted(path for package in PACKAGES for path in package.glob("schemas/*.json"))


def named(package: Path) -> set[str]:
    """The kinds of documents that the code of a package names."""
    code = "\n".join(path.read_text() for path in package.rglob("*.py"))
    return set(re.findall(r"cifar-edge/([a-z-]+)/1\b", code))


def test_every_document_has_one_schema() -> None:
    kinds = set().union(*map(named, PACKAGES))
    assert sorted(path.name for path in SCHEMAS) == sorted(f"{kind}.schema.json" for kind in kinds)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_schema_is_one_and_says_which_document_it_describes(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema: dict[str, Any] = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"https://cifar-edge.invalid/schemas/{path.name}"
    kind = path.name.removesuffix(".schema.json")
    parts = [schema, *schema.get("oneOf", ())]
    stated = {part["properties"]["schema"]["const"] for part in parts if "properties" in part}
    assert stated == {f"cifar-edge/{kind}/1"}


@pytest.mark.parametrize("kind", ["battery", "hardening", "end-to-end"])
def test_a_recorded_report_fits_its_schema(kind: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    (schema,) = (path for path in SCHEMAS if path.name == f"{kind}.schema.json")
    report = json.loads((ROOT / "benchmarks" / "reports" / f"{kind}.json").read_text())
    jsonschema.validate(report, json.loads(schema.read_text()))
