"""Several equal workers learn handwritten digits together: MultiWorkerMirroredStrategy with a loop of its own.

Keras 3's ``fit`` does not work under this strategy (TensorFlow 2.16 and newer), a loop does. Every worker takes its
share of each batch, and the gradients are summed over all of them. TF_CONFIG says who the workers are; without it the
script trains alone.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=64, help="images a step, over all workers")
    parser.add_argument("--learning-rate", type=float, default=0.2, help="of gradient descent (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=15, help="passes over the images (default: %(default)s)")
    return parser.parse_args()


class Network(tf.Module):
    """64 pixels, a hidden layer, 10 digits."""

    def __init__(self, hidden=64):
        super().__init__()
        random = np.random.default_rng(1)
        self.first = tf.Variable(random.normal(0, 0.15, (64, hidden)).astype("float32"))
        self.first_bias = tf.Variable(tf.zeros(hidden))
        self.second = tf.Variable(random.normal(0, 0.15, (hidden, 10)).astype("float32"))
        self.second_bias = tf.Variable(tf.zeros(10))

    def __call__(self, images):
        return tf.nn.relu(images @ self.first + self.first_bias) @ self.second + self.second_bias


def main():
    arguments = parse_arguments()
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    task = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {"type": "worker", "index": 0})
    workers = strategy.num_replicas_in_sync
    print(f"{task['type']} {task['index']} of {workers}")

    digits = load_digits()
    images = (digits.images.reshape(-1, 64) / 16.0).astype("float32")
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=0.2, stratify=digits.target, random_state=1
    )
    batches = tf.data.Dataset.from_tensor_slices((train_images, train_labels))
    batches = batches.shuffle(len(train_images), seed=1).batch(arguments.batch_size, drop_remainder=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    distributed = strategy.experimental_distribute_dataset(batches.with_options(options))
    with strategy.scope():
        network = Network()

    @tf.function
    def step(images, labels):
        def on_each(images, labels):
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(images))
                loss = tf.reduce_sum(losses) / arguments.batch_size
            gradients = tape.gradient(loss, network.trainable_variables)
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
            for index, variable in enumerate(network.trainable_variables):
                variable.assign_sub(arguments.learning_rate * gradients[index])
            return loss

        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(on_each, (images, labels)), axis=None)

    def accuracy():
        return float((tf.argmax(network(test_images), 1).numpy() == test_labels).mean())

    first_loss = last_loss = None
    for epoch in range(1, arguments.epochs + 1):
        losses = [float(step(*batch)) for batch in distributed]
        last_loss = sum(losses) / len(losses)
        first_loss = last_loss if first_loss is None else first_loss
        print(f"epoch {epoch}: loss {last_loss:.4f}, validation accuracy {accuracy():.4f}", flush=True)

    # Every worker did the same arithmetic on the same sums, so all must hold the same weights.
    weights = np.concatenate([variable.numpy().ravel() for variable in network.trainable_variables])
    total = sum_over_workers(strategy, weights)
    difference = float(np.abs(total / workers - weights).max())
    print(f"largest difference of a weight between the workers: {difference:g}")
    if difference > 1e-6 or last_loss >= first_loss:
        raise SystemExit(f"The workers did not train together: loss {first_loss:.4f} -> {last_loss:.4f}.")
    if task["index"] == 0:
        Path("outputs").mkdir(exist_ok=True)
        summary = {"workers": workers, "loss": last_loss, "validation_accuracy": accuracy()}
        Path("outputs/summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def sum_over_workers(strategy, values):
    @tf.function
    def everywhere():
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(values))

    return strategy.experimental_local_results(strategy.run(everywhere))[0].numpy()


if __name__ == "__main__":
    main()
