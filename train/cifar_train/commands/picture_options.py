"""Options of training on one's own pictures, which cifar-train and cifar-make share; imports nothing slow."""

import argparse
from typing import get_args

from cifar_runtime.commands.options import Options, add_picture_options
from cifar_runtime.commands.parser import Parser, choice
from cifar_runtime.contract import ResizeFilter
from cifar_train.networks.backbones import BACKBONES
from cifar_train.recipe import AugmentationPreset, Network
from cifar_train.recipes import NETWORKS

DEFAULT_NETWORK: Network = "edge-s"
DEFAULT_AUGMENT: AugmentationPreset = "photographs"
DEFAULT_RESIZE: ResizeFilter = "bicubic"
NONE = "none"


def add_network_options(options: Options) -> None:
    """Adds ``--network``, ``--weights``, ``--size``, ``--resize`` and ``--augment``; None when absent."""
    options.add_argument(
        "--network",
        type=choice(list(NETWORKS)),
        metavar="|".join(NETWORKS),
        help="a network for devices, or one of Keras' backbones to train further (default: edge-s)",
    )
    options.add_argument(
        "--weights",
        metavar="imagenet|FILE|none",
        help="what a backbone begins with: Keras' download, another run's model.keras, or a weights file without top "
        "(default: imagenet)",
    )
    add_picture_options(options)
    options.add_argument(
        "--augment",
        type=choice(get_args(AugmentationPreset)),
        metavar="|".join(get_args(AugmentationPreset)),
        help="how pictures vary while training; no-flip suits signs and letters (default: photographs)",
    )


def check_weights(parser: Parser, given: argparse.Namespace) -> None:
    """Refuses ``--weights`` for a network that is no backbone.

    Raises:
        UsageError: so it is.
    """
    if given.weights and given.network not in BACKBONES:
        parser.error(f"--weights needs --network {'|'.join(BACKBONES)}")


def initial_weights(given: argparse.Namespace) -> str | None:
    """What a backbone begins with, ``imagenet`` or a file's path; None for fresh weights."""
    if given.network not in BACKBONES or given.weights == NONE:
        return None
    return given.weights or "imagenet"
