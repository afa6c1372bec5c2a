"""The recipes that ship: each is one documented experiment, with what it costs and what it reached.

``cifar-train --recipe NAME --seed N --final`` makes one seed; docs/training.md has each. Percentages are of the 5,000
validation images, then of all 10,000 test images, the mean first, then lowest to highest. Two kinds of machine measured
them: "AVX2", two cores in float32, and "BF16", one core with AVX-512 BF16 in mixed bfloat16, busy on the other.
"""

from collections.abc import Mapping
from dataclasses import replace

from cifar_train.networks import Architecture
from cifar_train.recipe import Augmentation, Distillation, Network, TrainRecipe

# The notebook, exactly: raw pixels, no augmentation, Keras' defaults for Adam, 20 % of the 50,000 official training
# images (the last ones, as validation_split takes them) to validate, early stopping on the training loss, and float32
# on a GPU too. Seeds 0 to 2, 34 to 48 minutes on AVX2: 67.62 % of its own validation images, 67.46 % (67.10 to 68.05).
NOTEBOOK = TrainRecipe(
    name="notebook",
    architecture="notebook",
    epochs=25,
    batch_size=32,
    optimizer="adam",
    learning_rate=0.001,
    schedule="constant",
    warmup_fraction=0.0,
    weight_decay=0.0,
    augmentation=None,
    validation="last fifth of official-train",
    keep="last",
    patience=3,
    precision="float32",
)

# MLPerf Tiny's IC01 network, distilled from the shipped soft labels, with Muon (docs/log.md says what for). Seeds 0 to
# 2, 49 minutes on BF16, 31 on both of its cores: 91.01 %, 90.89 % (90.85 to 90.95), in int8 90.71 %; 40 epochs from an
# earlier teacher's labels had 89.40 %, 89.35 %. IC01 itself has 86.97 %.
RESNET8 = TrainRecipe(
    name="resnet8",
    architecture="resnet8",
    epochs=100,
    batch_size=256,
    optimizer="muon",
    learning_rate=0.3,
    schedule="cosine",
    warmup_fraction=0.05,
    weight_decay=2e-3,
    augmentation=Augmentation(flip="alternating", translate=4),
    validation="validation split",
    keep="best",
    patience=None,
    ema=0.999,
    distillation=Distillation(temperature=4.0, weight=0.9),
)

# The notebook's layers, trained as resnet8 is: on the middle 26x26 pixels, which is as much as they ever looked at,
# centred, so that shifts of up to 3 bring in nothing from beyond the image; and with a Dropout of rate 0. Seeds 0 to 2,
# 20 to 54 minutes on BF16: 85.83 %, 85.49 % (85.36 to 85.59). With the rate of one half it had 82.01 % after 40 epochs;
# from labels alone, with AdamW and off the middle too, 81.08 % after 64.
SEED_CNN = replace(
    RESNET8,
    name="seed-cnn",
    architecture="seed-cnn",
    epochs=60,
    learning_rate=0.2,
    augmentation=Augmentation(flip="alternating", translate=3),
)

# The default for devices: at most 12.5 million multiply-accumulates and 100,000 parameters. Seeds 0 to 2, 34 to 35
# minutes on BF16: 91.61 %, 91.00 % (90.77 to 91.19), in int8 91.00 %; 100 epochs, three seeds, had 91.94 %, 91.36 %, in
# int8 91.27 %. 50 epochs from an earlier teacher's labels had 90.08 %, with SGD, 40 epochs, 89.10 %; edge-res-s, from
# labels alone, 88.66 % after 100. Of five networks at equal training edge-mix-s is the best that is as fast as IC01
# (docs/log.md).
EDGE_S = replace(RESNET8, name="edge-s", architecture="edge-mix-s", epochs=60)

# For boards without SIMD: at most 5 million multiply-accumulates and 50,000 parameters. Seeds 0 to 2, 71 to 140 minutes
# of one core with AVX2: 89.53 %, 88.98 % (88.78 to 89.13), in int8 88.90 %.
EDGE_XS = replace(RESNET8, name="edge-xs", architecture="edge-xs", epochs=100)

# At most 40 million multiply-accumulates and 330,000 parameters, four times IC01's time: edge-mb-m takes five. Seed 0,
# 70 minutes on BF16: 93.56 %, 93.02 %, in int8 93.05 %; seed 1, 114 on AVX2, to be shipped (docs/log.md): 93.62 %,
# 93.19 %, in int8 93.13 %. After 80 epochs seed 0 had 93.44 % of the validation images, test not read. edge-res-m, 30
# epochs from the earlier teacher's labels, had 91.34 %.
EDGE_M = replace(RESNET8, name="edge-m", architecture="edge-mix-m", epochs=45)

# Labels the training images for the others (cifar-soft-labels). No label smoothing: a smoothed teacher distils
# worse (Mueller et al., "When Does Label Smoothing Help?", 2019). Seed 0, 51 minutes on BF16: 93.50 %, test not read.
# The shipped soft labels are its; seed-cnn was measured with those of an earlier one (12 epochs of SGD, 92.82 %).
TEACHER = replace(
    RESNET8,
    name="teacher",
    architecture="airbench",
    epochs=24,
    warmup_fraction=0.1,
    augmentation=Augmentation(flip="alternating", translate=4, cutout=8),
    keep="last",
    ema=None,
    distillation=None,
)

# For demonstrations: a network with nothing at 32x32, few epochs, mirrored images and soft labels, no validation-driven
# choice. It is meant to reach 80 % of the test split in a tenth of the notebook recipe's time on the same machine. Seed
# 0, 56 s on two cores with AVX-512 BF16, 0.087 of that time: 83.54 %, 83.34 %. From labels alone it reached 80.90 %
# validation; with soft labels but three epochs, in batches of 256, 80.28 %.
QUICK = replace(
    RESNET8,
    name="quick",
    architecture="quick-res",
    epochs=4,
    batch_size=128,
    learning_rate=0.2,
    warmup_fraction=0.1,
    augmentation=Augmentation(flip="alternating", translate=0),
    keep="last",
    ema=None,
)

# What --network names, for pictures of one's own: the architectures of the recipes above, and backbones.
NETWORKS: Mapping[Network, Architecture] = {
    "edge-xs": EDGE_XS.architecture,
    "edge-s": EDGE_S.architecture,
    "edge-m": EDGE_M.architecture,
    "mobilenet-v2": "mobilenet-v2",
    "mobilenet-v3-small": "mobilenet-v3-small",
    "efficientnet-v2-b0": "efficientnet-v2-b0",
    "efficientnet-lite0": "efficientnet-lite0",
}

RECIPES = {
    recipe.name: recipe
    for recipe in (NOTEBOOK, SEED_CNN, RESNET8, EDGE_XS, EDGE_S, EDGE_M, TEACHER, QUICK)
}
