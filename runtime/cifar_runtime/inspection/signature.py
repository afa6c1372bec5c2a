"""Checks the signature beside a model, offline: a bundle of OpenSSF Model Signing over model, card and verdict.

It signs nothing (see ``cifar_export.publish.sign``), and asks no server: only keys that the user names count.
"""

import base64
import json
from pathlib import Path

from cifar_runtime.artefact import card_path
from cifar_runtime.errors import ArtefactError, InputError, MissingDependencyError
from cifar_runtime.install_hints import install_hint
from cifar_runtime.plain_text import reason_of
from cifar_runtime.system.files import exists


def signature_path(model: Path) -> Path:
    """Where the signature of a model lies: ``model.tflite.sig``."""
    return model.with_name(f"{model.name}.sig")


def verdict_path(model: Path) -> Path:
    """Where the signed verdict of a model's gate lies: ``model.tflite.intoto.json``."""
    return model.with_name(f"{model.name}.intoto.json")


def verify_signature(model: Path, key: Path) -> tuple[str, ...]:
    """The names of the files that the owner of a key signed, once they are known to be unchanged.

    Args:
        model: with its card, its signature and the verdict beside it.
        key: the signer's public key, a PEM file of an elliptic curve.

    Raises:
        ArtefactError: there is no signature, another key made it, or a signed file is another.
        InputError: the key cannot be read.
        MissingDependencyError: model-signing is not installed.
    """
    check_key(key)
    signature = signature_path(model)
    if not exists(signature):
        raise ArtefactError(
            f"{signature}: is not there, expected the signature of {model.name}.",
            hint="Ask whoever made the model for it, or sign with cifar-export --sign KEY.pem.",
        )
    from model_signing import verifying

    config = verifying.Config().use_elliptic_key_verifier(public_key=key)
    try:
        config.set_ignore_unsigned_files(True).verify(model.parent, signature)
        names = _signed_names(signature)
    except (
        Exception
    ) as error:  # cryptography's, json's and model-signing's own, which share no class
        raise ArtefactError(
            f"{model}: its signature does not hold for {key.name}: {reason_of(error)}.",
            hint="Use neither model nor card, and ask whoever made them.",
        ) from error
    missing = {model.name, card_path(model).name} - set(names)
    if missing:
        raise ArtefactError(
            f"{signature}: signs {', '.join(names)}, expected {' and '.join(sorted(missing))} among them.",
            hint="It is another model's signature: ask for this one's.",
        )
    return names


def check_key(key: Path) -> None:
    """Checks what signing and verifying need before anything slow begins.

    Raises:
        InputError: there is no such key.
        MissingDependencyError: model-signing is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("model_signing") is None:
        raise MissingDependencyError(
            "signatures need model-signing, which is not installed.", hint=install_hint("sign")
        )
    if not exists(key):
        raise InputError(
            f"{key}: is not there, expected a key in a PEM file.",
            hint="Make one: openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem",
        )


def _signed_names(signature: Path) -> tuple[str, ...]:
    bundle = json.loads(signature.read_text(encoding="utf-8"))
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return tuple(resource["name"] for resource in statement["predicate"]["resources"])
