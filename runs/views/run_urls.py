"""The addresses of the run page and of what it reads."""

from django.urls import path

from runs.api import files, logs, series
from runs.views import run

urlpatterns = [
    path("runs/<int:pk>/", run.overview, name="run"),
    path("runs/<int:pk>/metrics/", run.metrics, name="run-metrics"),
    path("runs/<int:pk>/system/", run.system, name="run-system"),
    path("runs/<int:pk>/logs/", run.logs, name="run-logs"),
    path("runs/<int:pk>/files/", run.files, name="run-files"),
    path("runs/<int:pk>/events/", run.events, name="run-events"),
    path("runs/<int:pk>/series.json", series.series, name="run-series"),
    path("runs/<int:pk>/series.csv", series.series_csv, name="run-series-csv"),
    path("runs/<int:pk>/streams/<int:stream_id>/lines.json", logs.lines, name="run-lines"),
    path("runs/<int:pk>/streams/<int:stream_id>/raw", logs.raw, name="run-raw"),
    path("runs/<int:pk>/files/<int:artifact_id>/download", files.download, name="run-file"),
]
