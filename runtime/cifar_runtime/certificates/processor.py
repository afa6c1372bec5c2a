"""The processor's own name, from what Linux says of it; nothing that names a machine or a person."""

import platform
from collections.abc import Mapping
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def processor() -> str:
    """The processor's name, or its architecture where it cannot be read."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return processor_name(cpuinfo_fields(text)) or platform.processor() or platform.machine()


def cpuinfo_fields(text: str) -> dict[str, str]:
    """The fields of the first processor in the text of Linux's /proc/cpuinfo."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition(":")
        if separator:
            fields.setdefault(key.strip(), value.strip())
    return fields


def processor_name(fields: Mapping[str, str]) -> str | None:
    """The board before the processor: what ARM calls ``model name``, if anything, many boards share.

    An x86 name says little where a hypervisor shortens it, so family and model number follow it.
    """
    name = fields.get("Model") or fields.get("model name")
    if name:
        family, number = fields.get("cpu family"), fields.get("model")
        return f"{name} (family {family}, model {number})" if family and number else name
    core = [
        f"{short} {value}"
        for short in ("implementer", "part")
        if (value := fields.get(f"CPU {short}"))
    ]
    return ", ".join(filter(None, [fields.get("Hardware"), " ".join(core)])) or None
