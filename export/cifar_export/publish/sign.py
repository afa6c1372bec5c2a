"""Signs a published artefact: the gate's verdict as an in-toto statement, and a signature over model, card and verdict.

Offline: a key of the user's own, no certificate authority and no transparency log. Nothing of the artefact changes.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cifar_runtime.artefact import card_path, open_artefact
from cifar_runtime.errors import InputError
from cifar_runtime.inspection.signature import check_key, signature_path, verdict_path
from cifar_runtime.plain_text import reason_of
from cifar_runtime.system.files import write_atomically

_STATEMENT = "https://in-toto.io/Statement/v1"
_TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"


def sign_artefact(model: Path, key: Path) -> tuple[Path, Path]:
    """Writes the verdict and the signature of an artefact beside it, and says where.

    Args:
        model: a published artefact, its card beside it.
        key: a private key of an elliptic curve, a PEM file without a password.

    Raises:
        ArtefactError: the artefact cannot be opened.
        InputError: the key cannot be read or used.
        MissingDependencyError: model-signing is not installed.
    """
    check_key(key)
    artefact = open_artefact(model)
    verdict = json.dumps(verdict_statement(artefact.card, model.name, artefact.sha256), indent=1)
    write_atomically(verdict_path(model), f"{verdict}\n".encode())
    from model_signing import signing

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / artefact.name
        folder.mkdir()
        for path in (model, card_path(model), verdict_path(model)):
            (folder / path.name).write_bytes(path.read_bytes())
        try:
            signer = signing.Config().use_elliptic_key_signer(private_key=key)
            signer.sign(folder, signature_path(model))
        except Exception as error:  # cryptography's, of many classes
            raise InputError(
                f"{key}: cannot sign: {reason_of(error)}.",
                hint="Make one: openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem",
            ) from error
    return verdict_path(model), signature_path(model)


def verdict_statement(card: Mapping[str, Any], file: str, sha256: str) -> dict[str, Any]:
    """The gate's verdict on an artefact as an in-toto statement of type test-result.

    Args:
        card: of the artefact.
        file: the model's file name.
        sha256: of the model.

    Source: github.com/in-toto/attestation, spec/predicates/test-result.md.
    """
    provenance = card.get("provenance") or {}
    parity, checkpoint = provenance.get("parity") or {}, provenance.get("checkpoint") or {}
    gates = parity.get("gates") or ()
    where = f"on {parity.get('seen', 0)} images of {parity.get('split')}"
    tests: dict[bool, list[str]] = {True: [], False: []}
    for gate in gates:
        tests[bool(gate["passed"])].append(f"{gate['name']} {where}")
    return {
        "_type": _STATEMENT,
        "subject": [{"name": file, "digest": {"sha256": sha256}}],
        "predicateType": _TEST_RESULT,
        "predicate": {
            "result": "PASSED" if gates and not tests[False] else "FAILED",
            "configuration": [
                {"name": checkpoint.get("file"), "digest": {"sha256": checkpoint.get("sha256")}}
            ],
            "passedTests": tests[True],
            "warnedTests": [],
            "failedTests": tests[False],
        },
    }
