"""A split written as a folder of PNG files, one folder a class: the way back from arrays to pictures."""

from pathlib import Path

from cifar_data.split import Split
from cifar_runtime.errors import UsageError


def write_picture_folder(split: Split, folder: Path) -> None:
    """Writes ``folder/<class>/<id>.png`` for each image.

    Raises:
        UsageError: the folder is there already and not empty.
    """
    from PIL import Image

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder}: is there already, expected a new or empty folder.",
            hint="Choose another folder.",
        )
    for name in split.label_names:
        (folder / name).mkdir(parents=True)
    for image, label, number in zip(split.images, split.labels, split.ids, strict=True):
        path = folder / split.label_names[label] / f"{number:05d}.png"
        Image.fromarray(image).save(path)
