"""TF_CONFIG: how TensorFlow's distribution strategies learn where everybody is and who they are."""

import json


def tf_config(cluster, member):
    """The variable's value for ``member`` (``worker-0``). ``cluster`` has ``member``, ``address`` and ``port`` of each.

    The tasks of a role are listed by index, as TensorFlow counts them; those without a port, which nobody connects to,
    are not (``tf.distribute.cluster_resolver.TFConfigClusterResolver``). "cloud" is what tf.estimator asks for to run
    distributed.
    """
    groups = {}
    for one in cluster:
        if one["port"] is not None:
            role, index = _parted(one["member"])
            groups.setdefault(role, []).append((index, address_text(one["address"], one["port"])))
    role, index = _parted(member)
    return json.dumps(
        {
            "cluster": {name: [address for _, address in sorted(found)] for name, found in groups.items()},
            "task": {"type": role, "index": index},
            "environment": "cloud",
        }
    )


def address_text(address, port):
    """``10.0.0.5:20011``, ``[fd00::5]:20011``."""
    return ("[{}]:{}" if ":" in address else "{}:{}").format(address, port)


def _parted(member):
    role, _, index = member.rpartition("-")
    return role, int(index)
