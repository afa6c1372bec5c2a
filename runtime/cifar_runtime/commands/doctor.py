"""What ``cifar-info --doctor`` prints: an installation in lines, or as JSON. It decides nothing."""

import json
import sys
from collections.abc import Iterator

from cifar_runtime.commands.result_file import write_document
from cifar_runtime.inspection.doctor import Diagnosis, Folder, diagnose


def print_diagnosis(json_target: str | None) -> int:
    """Describes this installation on stdout or in a JSON file; always 0, for it judges nothing."""
    diagnosis = diagnose()
    if json_target is None:
        sys.stdout.writelines(f"{line}\n" for line in lines(diagnosis))
    else:
        write_document(json_target, json.dumps(diagnosis.to_json(), indent=1) + "\n")
    return 0


def lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The diagnosis for a person."""
    machine = diagnosis.environment
    yield f"cifar-edge  {diagnosis.version}, {machine.python}"
    yield f"system      {machine.os}, {machine.machine}, {machine.cores} processors"
    yield f"processor   {machine.cpu_model}: {' '.join(machine.isa_flags) or 'no known flags'}"
    versions = (f"{name} {version}" for name, version in machine.packages.items() if version)
    yield f"packages    {', '.join(versions)}"
    for check in diagnosis.interpreters:
        answer = check.answer.removeprefix("passed: ").removeprefix("FAILED: ")
        yield f"{check.title:<12}{'works' if check.works else 'DOES NOT WORK'}: {answer}"
    yield f"CIFAR-10    {diagnosis.data_set}"
    for folder in diagnosis.folders:
        yield f"folder      {_folder_line(folder)}"
    for extra, packages in diagnosis.lacking.items():
        yield f"extra       {extra}: {'lacks ' + ', '.join(packages) if packages else 'complete'}"


def _folder_line(folder: Folder) -> str:
    used = "" if folder.used_bytes is None else f"{folder.used_bytes / 1e6:,.1f} MB, "
    free = "unknown" if folder.free_bytes is None else f"{folder.free_bytes / 1e9:,.1f} GB"
    return f"{folder.purpose}: {folder.path}, {used}{free} free"
