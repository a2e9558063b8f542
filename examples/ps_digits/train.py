"""Workers learn handwritten digits, servers keep the weights: ParameterServerStrategy with a coordinator.

The coordinator (the chief) runs this script and hands out steps; the workers and the servers run TensorFlow's standard
server. TF_CONFIG says who they are.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=32, help="images a step (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.1, help="of gradient descent (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the images (default: %(default)s)")
    return parser.parse_args()


def load_images():
    digits = load_digits()
    images = (digits.images.reshape(-1, 64) / 16.0).astype("float32")
    return train_test_split(
        images, digits.target.astype("int64"), test_size=0.2, stratify=digits.target, random_state=1
    )


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
    train_images, test_images, train_labels, test_labels = load_images()
    strategy = tf.distribute.ParameterServerStrategy(
        tf.distribute.cluster_resolver.TFConfigClusterResolver(),
        variable_partitioner=tf.distribute.experimental.partitioners.MinSizePartitioner(max_shards=2),
    )
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        network = Network()

    def dataset():
        batches = tf.data.Dataset.from_tensor_slices((train_images, train_labels))
        return batches.shuffle(len(train_images)).repeat().batch(arguments.batch_size)

    @tf.function
    def step(iterator):
        def on_worker(images, labels):
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(images))
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, network.trainable_variables)
            for index, variable in enumerate(network.trainable_variables):
                variable.assign_sub(arguments.learning_rate * gradients[index])
            return loss

        return strategy.run(on_worker, args=next(iterator))

    def accuracy():
        return float((tf.argmax(network(test_images), 1).numpy() == test_labels).mean())

    iterator = iter(coordinator.create_per_worker_dataset(dataset))
    steps = len(train_images) // arguments.batch_size
    first_loss = last_loss = None
    began = time.monotonic()
    for epoch in range(1, arguments.epochs + 1):
        results = [coordinator.schedule(step, args=(iterator,)) for _ in range(steps)]
        coordinator.join()
        last_loss = float(np.mean([result.fetch() for result in results]))
        first_loss = last_loss if first_loss is None else first_loss
        print(f"epoch {epoch}: loss {last_loss:.4f}, validation accuracy {accuracy():.4f}", flush=True)

    print(f"{arguments.epochs} epochs in {time.monotonic() - began:.0f} s")
    if last_loss >= first_loss:
        raise SystemExit(f"The loss did not fall: {first_loss:.4f} -> {last_loss:.4f}.")
    Path("outputs").mkdir(exist_ok=True)
    summary = {"loss": last_loss, "validation_accuracy": accuracy()}
    Path("outputs/summary.json").write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()
