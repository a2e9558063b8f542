"""NVIDIA GPUs through the driver's own library (NVML), which is there wherever the driver is."""

import ctypes

_LIBRARY = "libnvidia-ml.so.1"
_MEBIBYTE = 1 << 20


class _Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Gpus:
    """The GPUs with the given NVML indexes (the order of ``nvidia-smi``, by PCI bus). Without indexes, driver or
    permission there is nothing to sample, and no error."""

    def __init__(self, indexes, load=ctypes.CDLL):
        self._devices = []
        if not indexes:
            return
        try:
            self._library = load(_LIBRARY)
            if self._library.nvmlInit_v2() != 0:
                return
            for index in indexes:
                device = ctypes.c_void_p()
                if self._library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)) == 0:
                    self._devices.append((index, device))
        except (OSError, AttributeError):
            self._devices = []

    def sample(self):
        """``(name, value)`` pairs: ``gpu<i>_percent``, ``gpu<i>_memory_mb``, ``gpu<i>_power_w``. What a GPU does
        not tell is left out."""
        values = []
        for index, device in self._devices:
            utilization, memory, milliwatts = _Utilization(), _Memory(), ctypes.c_uint()
            if self._library.nvmlDeviceGetUtilizationRates(device, ctypes.byref(utilization)) == 0:
                values.append(("gpu{}_percent".format(index), utilization.gpu))
            if self._library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == 0:
                values.append(("gpu{}_memory_mb".format(index), memory.used / _MEBIBYTE))
            if self._library.nvmlDeviceGetPowerUsage(device, ctypes.byref(milliwatts)) == 0:
                values.append(("gpu{}_power_w".format(index), milliwatts.value / 1000.0))
        return values
