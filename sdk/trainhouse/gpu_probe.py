"""Starts a script only when TensorFlow sees a GPU: ``python gpu_probe.py python train.py --epochs 3``.

TensorFlow is asked in a child process, so that nothing of it is left on the GPU; then this process becomes the script,
with its arguments and its process id. Without a GPU it says in plain words what it looked at and exits with 113, and
the script is never started.
"""

import ctypes
import importlib
import os
import signal
import sys
import tempfile
import traceback

GPU_NOT_SEEN = 113

_KEPT_BYTES = 4000


def main(argv):
    """Becomes ``argv``, or returns the exit code."""
    seen, told = _asked_apart()
    if seen:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them, and what is ignored stays so through exec
        os.execvp(argv[0], argv)
    lines = [
        "Trainhouse: this run asks for a GPU and TensorFlow sees none, so the script is not started.",
        "  Driver: " + _driver(),
        "  CUDA: " + _cuda(),
        "  GPUs given to this run (CUDA_VISIBLE_DEVICES): " + (os.environ.get("CUDA_VISIBLE_DEVICES") or "none"),
        "  TensorFlow: " + told,
    ]
    sys.stdout.flush()
    sys.stderr.write("\n".join(lines) + "\n")
    return GPU_NOT_SEEN


def _asked_apart():
    """Whether a child's TensorFlow sees a GPU, and its words. What TensorFlow prints is shown only when it does not."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as answer:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                words = _asked()
                answer.write(words.encode("utf-8", "backslashreplace"))
                answer.flush()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        answer.seek(0)
        kind, _, words = answer.read().decode("utf-8", "replace").partition(" ")
        if kind == "seen":
            return True, words
        said.seek(max(0, os.fstat(said.fileno()).st_size - _KEPT_BYTES))
        sys.stderr.write(said.read().decode("utf-8", "replace"))
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return False, "it was ended by signal {} while it looked for GPUs.".format(signal.Signals(number).name)
    return False, words or "it could not be asked; the lines above say why."


def _asked():
    """``seen`` or ``none``, and a sentence, from the TensorFlow that the script will import."""
    tensorflow = importlib.import_module("tensorflow")
    gpus = tensorflow.config.list_physical_devices("GPU")
    if gpus:
        return "seen {} GPU(s).".format(len(gpus))
    version = getattr(tensorflow, "__version__", "(unknown version)")
    try:
        build = dict(tensorflow.sysconfig.get_build_info())
    except Exception:
        build = {}
    if not build.get("is_cuda_build", True):
        return "none version {} is a build without CUDA, which can use no GPU.".format(version)
    return "none version {}, built for CUDA {} and cuDNN {}, lists no GPU.".format(
        version, build.get("cuda_version", "(not told)"), build.get("cudnn_version", "(not told)")
    )


def _driver():
    """The version of NVIDIA's kernel driver."""
    try:
        with open("/proc/driver/nvidia/version") as file:
            return file.readline().strip() or "there, without a version."
    except OSError:
        return "no NVIDIA driver is loaded on this machine."


def _cuda():
    """What the driver's own library answers (CUDA Driver API: cuInit, cuDriverGetVersion, cuDeviceGetCount)."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "the driver's library libcuda.so.1 is not here."
    try:
        code = library.cuInit(0)
        if code != 0:
            return "libcuda.so.1 cannot be used: cuInit answers with error {}.".format(code)
        version, count = ctypes.c_int(), ctypes.c_int()
        library.cuDriverGetVersion(ctypes.byref(version))
        library.cuDeviceGetCount(ctypes.byref(count))
    except AttributeError:
        return "libcuda.so.1 is not NVIDIA's."
    return "the driver supports CUDA {}.{} and shows {} GPU(s) to this run.".format(
        version.value // 1000, version.value % 1000 // 10, count.value
    )


if __name__ == "__main__":
    # Run by path, Python puts this folder first on sys.path, where our module names could hide others.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    sys.exit(main(sys.argv[1:]))
