"""What a written document has to fit."""

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

Follows = Callable[[str, object], bool]


@pytest.fixture(scope="session")
def follows() -> Follows:
    """Whether a document is what the shipped schema of that name describes."""
    jsonschema, referencing = pytest.importorskip("jsonschema"), pytest.importorskip("referencing")
    schemas: dict[str, Any] = {
        path.name: json.loads(path.read_text())
        for package in ("cifar_data", "cifar_train", "cifar_runtime")
        for path in (resources.files(package) / "schemas").iterdir()
        if path.name.endswith(".schema.json")
    }
    registry = referencing.Registry().with_resources(
        (schema["$id"], referencing.Resource.from_contents(schema)) for schema in schemas.values()
    )

    def follows_schema(name: str, document: object) -> bool:
        schema = schemas[f"{name}.schema.json"]
        validator = jsonschema.Draft202012Validator(schema, registry=registry)
        return bool(validator.is_valid(document))

    return follows_schema
