"""The older form of parameter servers: every process runs this script and reads TF_CONFIG for its part.

Servers keep the weights and serve until they are ended; workers compute gradients and add them where the weights are
(TensorFlow 1's graphs, through tf.compat.v1). Worker 0 makes the start and says how far all have come.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

v1 = tf.compat.v1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=32, help="images a step (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.1, help="of gradient descent (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=400, help="steps of each worker (default: %(default)s)")
    return parser.parse_args()


def read_cluster():
    """The cluster, and which of its tasks this process is."""
    tf_config = os.environ.get("TF_CONFIG")
    if not tf_config:
        raise ValueError("TF_CONFIG is not set: start this script as a parameter server run.")
    tf_config = json.loads(tf_config)
    return tf.train.ClusterSpec(tf_config["cluster"]), tf_config["task"]["type"], tf_config["task"]["index"]


def load_images():
    digits = load_digits()
    images = (digits.images.reshape(-1, 64) / 16.0).astype("float32")
    return train_test_split(
        images, digits.target.astype("int64"), test_size=0.2, stratify=digits.target, random_state=1
    )


def main():
    arguments = parse_arguments()
    v1.disable_eager_execution()
    cluster, role, index = read_cluster()
    server = v1.train.Server(cluster, job_name=role, task_index=index)
    print(f"{role} {index} of {cluster.as_dict()}", flush=True)
    if role == "ps":
        server.join()
        return

    train_images, test_images, train_labels, test_labels = load_images()
    with v1.device(v1.train.replica_device_setter(cluster=cluster, worker_device=f"/job:worker/task:{index}")):
        images = v1.placeholder(tf.float32, [None, 64])
        labels = v1.placeholder(tf.int64, [None])
        first = v1.get_variable("first", [64, 64], initializer=v1.random_normal_initializer(0, 0.15, seed=1))
        second = v1.get_variable("second", [64, 10], initializer=v1.random_normal_initializer(0, 0.15, seed=2))
        logits = tf.nn.relu(images @ first) @ second
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        right = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), labels), tf.float32))
        steps_done = v1.train.get_or_create_global_step()
        optimizer = v1.train.GradientDescentOptimizer(arguments.learning_rate)
        train = optimizer.minimize(loss, global_step=steps_done)

    random = np.random.default_rng(index)
    everything = {images: test_images, labels: test_labels}
    # Only the servers and this worker itself are asked for, so that no worker waits for another that has ended.
    reachable = v1.ConfigProto(device_filters=["/job:ps", f"/job:worker/task:{index}"])
    with v1.train.MonitoredTrainingSession(
        master=server.target, is_chief=index == 0, config=reachable, save_summaries_steps=None
    ) as session:
        first_loss = session.run(loss, everything)
        for step in range(1, arguments.steps + 1):
            chosen = random.integers(0, len(train_images), arguments.batch_size)
            batch = {images: train_images[chosen], labels: train_labels[chosen]}
            _, done = session.run([train, steps_done], batch)
            if step % 100 == 0:
                print(f"step {step}, {done} of all workers: loss {session.run(loss, everything):.4f}", flush=True)
        last_loss, accuracy = session.run([loss, right], everything)
    print(f"validation loss {first_loss:.4f} -> {last_loss:.4f}, accuracy {accuracy:.4f}")
    if index == 0:
        if last_loss >= first_loss:
            raise SystemExit("The loss did not fall.")
        Path("outputs").mkdir(exist_ok=True)
        summary = {"loss": float(last_loss), "validation_accuracy": float(accuracy)}
        Path("outputs/summary.json").write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()
