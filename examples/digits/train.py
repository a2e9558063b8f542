"""Learns to read handwritten digits: a small Keras model on scikit-learn's 1,797 real 8x8 images.

An ordinary script that knows of no platform: ``python train.py --batch-size 50 --learning-rate 0.01``.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=50, help="images a step (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.01, help="of SGD with momentum (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=75, help="passes over the images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is chance (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("outputs"), help="folder for the model (default: outputs)")
    return parser.parse_args()


def load_images(seed):
    """Training and validation images, brightness 0 to 1, with every digit in the same share of both."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[..., np.newaxis]
    return train_test_split(images, digits.target, test_size=0.2, stratify=digits.target, random_state=seed)


def make_model(learning_rate, steps):
    """Five convolutions, fed with images that are shifted, turned and scaled a little differently each time.

    The learning rate falls to zero over ``steps``, so that the end is calm.
    """
    layers = keras.layers
    model = keras.Sequential(name="digits")
    model.add(keras.Input((8, 8, 1)))
    model.add(layers.RandomTranslation(0.12, 0.12, fill_mode="constant"))
    model.add(layers.RandomRotation(0.04, fill_mode="constant"))
    model.add(layers.RandomZoom(0.1, fill_mode="constant"))
    for filters, strides in ((64, 1), (96, 1), (96, 1), (128, 2), (128, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(
        optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(learning_rate, steps), momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    train_images, test_images, train_labels, test_labels = load_images(arguments.seed)
    print(f"{len(train_images)} images to learn from, {len(test_images)} to be tested on")

    steps = arguments.epochs * -(-len(train_images) // arguments.batch_size)
    model = make_model(arguments.learning_rate, steps)
    print(f"{model.count_params():,} parameters, {arguments.epochs} epochs, batches of {arguments.batch_size}")
    began = time.monotonic()
    history = model.fit(
        train_images,
        train_labels,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        validation_data=(test_images, test_labels),
    )
    seconds = time.monotonic() - began

    guesses = model.predict(test_images, verbose=0).argmax(axis=1)
    for digit in range(10):
        is_digit = test_labels == digit
        right = int((guesses[is_digit] == digit).sum())
        print(f"digit {digit}: {right} of {int(is_digit.sum())} read")
    accuracy = float((guesses == test_labels).mean())
    print(f"validation accuracy {accuracy:.4f} after {arguments.epochs} epochs in {seconds:.0f} s")

    arguments.output.mkdir(parents=True, exist_ok=True)
    model.save(arguments.output / "model.keras")
    summary = {
        "validation_accuracy": accuracy,
        "best_validation_accuracy": max(history.history["val_accuracy"]),
        "validation_loss": history.history["val_loss"][-1],
        "epochs": arguments.epochs,
        "batch_size": arguments.batch_size,
        "learning_rate": arguments.learning_rate,
        "seconds": round(seconds, 1),
    }
    (arguments.output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(f"saved {arguments.output / 'model.keras'}")


if __name__ == "__main__":
    main()
