"""What MediaPipe's ImageClassifier gives for pictures: a child process, in an environment that has mediapipe.

``python mediapipe_child.py MODEL PICTURES.npz SCORES.npz``: of ``picture_0``, ``picture_1``, ... (uint8, RGB, any size)
the scores ``whole`` as MediaPipe resizes the picture by itself, and ``centre`` of its region of interest ``boxes``
(left, top, right, bottom as shares of the sides), float32, shape (n, num_labels); the labels; the versions. It imports
nothing of ours. A model that MediaPipe refuses ends it with exit code 4 and the reason on stderr.
"""

import sys
from importlib import metadata
from typing import Any

import numpy as np

_REFUSED = 4
_TOOLS = ("mediapipe", "opencv-contrib-python", "numpy")


def main() -> int:
    """Runs the command and returns its exit code."""
    model, pictures, target = sys.argv[1:]
    with np.load(pictures) as stored:
        boxes = stored["boxes"]
        images = [stored[f"picture_{index}"] for index in range(len(boxes))]
    try:
        classifier = _classifier(model)
    # A refusal for want of metadata is a FileNotFoundError there.
    except (RuntimeError, ValueError, OSError) as error:
        sys.stderr.write(f"refused: {error}\n")
        return _REFUSED
    with classifier:
        whole = [_categories(classifier, image, None) for image in images]
        centre = [
            _categories(classifier, image, box) for image, box in zip(images, boxes, strict=True)
        ]
    versions = [metadata.version(name) for name in _TOOLS]
    np.savez(
        target,
        whole=_scores(whole),
        centre=_scores(centre),
        labels=[category.category_name for category in sorted(whole[0], key=lambda one: one.index)],
        tools=_TOOLS,
        versions=versions,
    )
    return 0


def _classifier(model: str) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(
        base_options=BaseOptions(model_asset_path=model), max_results=-1
    )
    return vision.ImageClassifier.create_from_options(options)


def _categories(classifier: Any, image: Any, box: Any) -> Any:
    import mediapipe
    from mediapipe.tasks.python.components.containers.rect import RectF
    from mediapipe.tasks.python.vision.core.image_processing_options import ImageProcessingOptions

    picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
    options = None
    if box is not None:
        left, top, right, bottom = map(float, box)
        region = RectF(left=left, top=top, right=right, bottom=bottom)
        options = ImageProcessingOptions(region_of_interest=region)
    return classifier.classify(picture, options).classifications[0].categories


def _scores(found: list[Any]) -> Any:
    scores = np.zeros((len(found), len(found[0])), dtype=np.float32)
    for row, categories in enumerate(found):
        for category in categories:
            scores[row, category.index] = category.score
    return scores


if __name__ == "__main__":
    sys.exit(main())
