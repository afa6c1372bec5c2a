"""The recipes that ship: each is one documented experiment, with what it costs and what it reached."""

from dataclasses import replace

from cifar_train.recipe import Augmentation, Distillation, TrainRecipe

# The notebook, exactly: raw pixels, no augmentation, Keras' defaults for Adam, 20 % of the 50,000 official training
# images (the last ones, as validation_split takes them) to validate, early stopping on the training loss, and float32
# on a GPU too.
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

# MLPerf Tiny's IC01 network, distilled from the shipped soft labels. Not yet measured.
RESNET8 = TrainRecipe(
    name="resnet8",
    architecture="resnet8",
    epochs=30,
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

# The notebook's layers behind centred pixels, with everything that resnet8's recipe has.
SEED_CNN = replace(RESNET8, name="seed-cnn", architecture="seed-cnn", epochs=40)

# The default for devices: at most 12.5 million multiply-accumulates and 100,000 parameters. One seed, 40 epochs in 47
# minutes on two busy AVX2 cores: 89.60 % validation, 89.10 % test; longer and more seeds come next. Of three networks
# at equal training edge-mix-s was the best (docs/log.md); edge-res-s, from labels alone, had 88.66 % after 100 epochs.
EDGE_S = replace(RESNET8, name="edge-s", architecture="edge-mix-s", epochs=50)

# At most 40 million multiply-accumulates and 330,000 parameters; edge-mb-m is the other candidate. Not yet measured.
EDGE_M = replace(RESNET8, name="edge-m", architecture="edge-res-m")

# Labels the training images for the others (cifar-soft-labels). No label smoothing: a smoothed teacher distils
# worse (Mueller et al., "When Does Label Smoothing Help?", 2019). One seed, 45 minutes on two AVX2 cores: 92.82 %
# validation; the shipped soft labels are its.
TEACHER = replace(
    RESNET8,
    name="teacher",
    architecture="airbench",
    epochs=12,
    optimizer="sgd",
    learning_rate=0.25,
    warmup_fraction=0.2,
    weight_decay=1e-2,
    augmentation=Augmentation(flip="alternating", translate=4, cutout=8),
    keep="last",
    ema=None,
    distillation=None,
)

# For demonstrations: a network with nothing at 32x32, few epochs, no validation-driven choice. Meant to reach 80 %
# in a tenth of the notebook recipe's time on the same machine: five epochs are what its steps, 2.6 times as fast as
# the notebook's a CPU second (batch 256, float32, AVX2), leave room for. What it reaches is not yet measured.
QUICK = replace(
    RESNET8,
    name="quick",
    architecture="quick-res",
    epochs=5,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.2,
    warmup_fraction=0.25,
    augmentation=Augmentation(flip="alternating", translate=2),
    keep="last",
    ema=None,
    distillation=None,
)

RECIPES = {
    recipe.name: recipe for recipe in (NOTEBOOK, SEED_CNN, RESNET8, EDGE_S, EDGE_M, TEACHER, QUICK)
}
