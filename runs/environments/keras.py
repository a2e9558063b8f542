"""Which Keras ``tf.keras`` is in a built environment, and the variable that chooses."""

from runs.environments.lock import lock_version
from runs.environments.packages import FIRST_WITH_KERAS_3, FRAMEWORKS, LEGACY_KERAS

SWITCH = "TF_USE_LEGACY_KERAS"


def keras_variables(lock: str, *, legacy_keras: bool) -> dict[str, str]:
    """What a run's environment variables need so that ``tf.keras`` is the legacy one, when it was asked for.

    ``lock`` is the environment's. Empty for a TensorFlow before 2.16, whose ``tf.keras`` is Keras 2 anyway: there the
    variable would ask for a package that is not needed.
    """
    if not legacy_keras or not lock_version(lock, LEGACY_KERAS):
        return {}
    version = next((found for name in sorted(FRAMEWORKS) if (found := lock_version(lock, name))), "")
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    is_older = major.isdigit() and minor.isdigit() and (int(major), int(minor)) < FIRST_WITH_KERAS_3
    return {} if is_older else {SWITCH: "1"}
