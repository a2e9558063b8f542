"""Several processes learn handwritten digits together with Horovod, each on its own share of the images.

The gradients are averaged over all processes in every step, so all end with the same weights, which the script checks.
``mpirun -np 2 python train.py`` starts two; alone it trains as one.
"""

import argparse
import json
from pathlib import Path

import horovod.tensorflow.keras as hvd
import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=32, help="images a step and process (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.002, help="for one process (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=12, help="passes over the images (default: %(default)s)")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    hvd.init()
    print(f"rank {hvd.rank()} of {hvd.size()}, {hvd.local_rank()} on this node", flush=True)
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.set_visible_devices(gpus[hvd.local_rank()], "GPU")

    keras.utils.set_random_seed(1 + hvd.rank())
    digits = load_digits()
    images = (digits.images.reshape(-1, 64) / 16.0).astype("float32")
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=0.2, stratify=digits.target, random_state=1
    )
    # As many images for each, so that none waits for a step that the others do not have.
    share = len(train_images) // hvd.size()
    mine = slice(hvd.rank() * share, (hvd.rank() + 1) * share)

    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10, activation="softmax")]
    )
    optimizer = hvd.DistributedOptimizer(keras.optimizers.Adam(arguments.learning_rate * hvd.size()))
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        train_images[mine],
        train_labels[mine],
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        validation_data=(test_images, test_labels),
        callbacks=[hvd.callbacks.BroadcastGlobalVariablesCallback(0), hvd.callbacks.MetricAverageCallback()],
        verbose=2 if hvd.rank() == 0 else 0,
    )

    weights = np.concatenate([np.ravel(weight) for weight in model.get_weights()])
    everybodys = hvd.allgather(tf.constant(weights[np.newaxis])).numpy()
    difference = float(np.abs(everybodys - weights).max())
    losses = history.history["loss"]
    print(f"largest difference of a weight between the ranks: {difference:g}", flush=True)
    if difference > 0 or losses[-1] >= losses[0]:
        raise SystemExit(f"The ranks did not train together: loss {losses[0]:.4f} -> {losses[-1]:.4f}.")
    if hvd.rank() == 0:
        Path("outputs").mkdir(exist_ok=True)
        model.save("outputs/model.keras")
        summary = {"ranks": hvd.size(), "loss": losses[-1], "validation_accuracy": history.history["val_accuracy"][-1]}
        Path("outputs/summary.json").write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()
