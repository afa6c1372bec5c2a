"""How many images a Keras model computes at once where nothing is learned."""

MAX_PIXELS = 2**19
"""Of one batch: 512 images of 32x32, 56 of 96x96, 10 of 224x224, of which MobileNetV2 makes 0.8 GB."""


def evaluation_batch_size(image_shape: tuple[int, ...], *, at_most: int) -> int:
    """As many images as a batch may have, fewer of large ones: activations take memory by the pixel.

    Args:
        image_shape: height, width, channels.
        at_most: how many of the smallest.
    """
    return max(1, min(at_most, MAX_PIXELS // (image_shape[0] * image_shape[1])))
