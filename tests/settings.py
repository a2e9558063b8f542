"""The server's settings with a data folder of its own for each test session."""

import os
import tempfile
from pathlib import Path

_data = Path(tempfile.mkdtemp(prefix="th-test-"))
_data.chmod(0o711)
for _name in [name for name in os.environ if name.startswith("TRAINHOUSE_") and name != "TRAINHOUSE_CI"]:
    del os.environ[_name]
os.environ["TRAINHOUSE_DATA_DIR"] = str(_data)

from config.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
if not ENV.database_url:  # noqa: F405
    # A file, as in production: threads and processes of a test share it, and SQLite's locks are the real ones.
    DATABASES["default"]["TEST"] = {"NAME": str(_data / "test.sqlite3")}  # noqa: F405
