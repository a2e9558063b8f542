"""The lines of a log as JSON, and its bytes as a download."""

from __future__ import annotations

import io

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.text import slugify
from django.views.decorators.http import require_GET

from runs.api.numbers import whole
from runs.api.sending import send_file
from runs.models import Run, Stream
from runs.selectors.logs import log_stream_for
from runs.selectors.run import run_for
from runs.stores.logs import log_lines, log_path, log_size, log_tail

MOST_LINES = 1000


@login_required
@require_GET
def lines(request: HttpRequest, pk: int, stream_id: int) -> JsonResponse:
    """``count`` lines from line ``first`` (from 0), or the last ``tail`` lines; at most 1,000.

    ``total`` counts the finished lines; ``rest`` is the unfinished one after them; ``to`` is the byte offset from
    which the socket goes on.
    """
    stream = log_stream_for(run_for(request.user, pk), stream_id)
    if "tail" in request.GET:
        page = log_tail(stream.pk, count=whole(request.GET, "tail", default=200, least=1, most=MOST_LINES))
    else:
        page = log_lines(
            stream.pk,
            first_line=whole(request.GET, "first", default=0, least=0),
            count=whole(request.GET, "count", default=200, least=1, most=MOST_LINES),
        )
    return JsonResponse(
        {
            "first": page.first_line,
            "lines": page.lines,
            "total": page.total_lines,
            "from": page.from_bytes,
            "to": page.to_bytes,
            "rest": page.tail,
            "eof": stream.is_closed,
        }
    )


@login_required
@require_GET
def raw(request: HttpRequest, pk: int, stream_id: int) -> HttpResponseBase:
    """The log's bytes as they were written: all, the range that the request's header names, or the last ``tail``."""
    run = run_for(request.user, pk)
    stream = log_stream_for(run, stream_id)
    size_bytes = log_size(stream.pk)
    file = log_path(stream.pk).open("rb") if size_bytes else io.BytesIO()
    tail_bytes = whole(request.GET, "tail", default=0, least=0)
    return send_file(
        request,
        file,
        size_bytes=size_bytes,
        name=file_name(run, stream),
        content_type="text/plain; charset=utf-8",
        range_header=f"bytes=-{tail_bytes}" if tail_bytes and size_bytes else "",
    )


def file_name(run: Run, stream: Stream) -> str:
    """The name under which a log is saved: the experiment, the run's number and the log."""
    return f"{slugify(run.experiment.name) or 'run'}-{run.number}-{stream.name}.log"
