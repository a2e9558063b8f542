"""The script that tries Horovod out: it imports it and sums up a number over one process."""

TRIAL = """
import sys
import tensorflow as tf
import horovod.tensorflow as hvd

hvd.init()
total = float(hvd.allreduce(tf.constant(21.0), op=hvd.Sum))
if (hvd.size(), total) != (1, 21.0):
    sys.exit(f"error: Horovod gives {total} for the sum of 21.0 over {hvd.size()} process(es); it has to be 21.0.")
if not hvd.mpi_built():
    sys.exit("error: Horovod was built without MPI.")
print(f"Horovod works: TensorFlow {tf.__version__}, MPI, Gloo {hvd.gloo_built()}, NCCL {bool(hvd.nccl_built())}")
"""
