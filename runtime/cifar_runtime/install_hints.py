"""The pip lines of hints. cifar-edge is installed from its checkout, so that is what they name; nothing is imported."""


def install_hint(extra: str, *further: str) -> str:
    """The line that installs an extra and the runtime of the same version.

    Args:
        extra: one of pyproject's optional dependencies, such as ``train``.
        further: packages beside it.
    """
    packages = " ".join(["./runtime", f"'.[{extra}]'", *further])
    return f"In cifar-edge's checkout, run: pip install {packages}"
