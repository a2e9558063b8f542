"""Source folders from a browser, as JSON: rules to apply before sending, a folder in batches, or one zip.

For signed-in people. Errors are ``{"error": sentence}``: 400 for what cannot be taken, 404 for another's upload, 413
for too much. ``urlpatterns`` hold the whole addresses: include them with an empty prefix.
"""

import functools
import json
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_POST

from runs.errors import SnapshotRefused, SnapshotTooLarge
from runs.models import Upload
from runs.snapshots import (
    ALWAYS_IGNORED,
    IGNORE_FILES,
    Taken,
    entry_candidates,
    upload_add,
    upload_begin,
    upload_take,
    zip_take,
)

#: What one batch of a folder should hold at most; the browser goes by it.
BATCH_FILES = 200
BATCH_BYTES = 8 * 1024 * 1024

View = Callable[..., HttpResponse]
Kind = TypeVar("Kind", dict[str, Any], list[Any])


def answers_json(view: View) -> View:
    """Makes a sentence of everything that can go wrong with an upload.

    The protection against foreign forms reads the body before the view, and would answer a broken one with a page. So
    it is asked in here, not by the middleware.
    """
    protected = csrf_protect(view)

    @csrf_exempt
    @functools.wraps(view)
    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            return protected(request, *args, **kwargs)
        except (SnapshotTooLarge, RequestDataTooBig, TooManyFilesSent, TooManyFieldsSent) as error:
            return _error(str(error), 413)
        except SnapshotRefused as error:
            return _error(str(error), 400)
        except (MultiPartParserError, UnreadablePostError) as error:
            return _error(f"The upload broke off or is damaged: {error}. Send it again.", 400)
        except Http404:
            return _error("There is no such upload of yours; it may have been too old. Begin a new one.", 404)

    return answer


@answers_json
@require_GET
def rules(request: HttpRequest) -> JsonResponse:
    """What the server will apply, so that nothing is sent in vain. Patterns are git's."""
    return JsonResponse(
        {
            "limits": {"bytes": settings.ENV.snapshot_max_bytes, "files": settings.ENV.snapshot_max_files},
            "ignore_files": list(IGNORE_FILES),
            "always_ignored": list(ALWAYS_IGNORED),
            "batch": {"files": BATCH_FILES, "bytes": BATCH_BYTES},
        }
    )


@answers_json
@require_POST
def begin(request: HttpRequest) -> JsonResponse:
    """``{"name": the chosen folder's name}`` (or nothing) -> ``{"id"}``."""
    name = _json(request.body or b"{}", dict, "The request").get("name", "")
    upload = upload_begin(request.user, name if isinstance(name, str) and name.isprintable() else "")
    return JsonResponse({"id": str(upload.pk)}, status=201)


@answers_json
@require_POST
def add(request: HttpRequest, upload_id: uuid.UUID) -> JsonResponse:
    """Multipart: ``paths``, a JSON list, and as many ``files`` in the same order -> ``{"staged": n}``. Paths travel
    apart because multipart strips folders from file names."""
    upload = _own(request, upload_id)
    paths = _json(request.POST.get("paths", "").encode(), list, "The field paths")
    files = request.FILES.getlist("files")
    if len(paths) != len(files) or not all(isinstance(name, str) for name in paths):
        raise SnapshotRefused(f"The batch has {len(files)} files and {len(paths)} paths; each file needs one path.")
    return JsonResponse({"staged": upload_add(upload, zip(paths, files, strict=True))})


@answers_json
@require_POST
def finish(request: HttpRequest, upload_id: uuid.UUID) -> JsonResponse:
    """The snapshot of what was sent: see ``_described``. A second call gives the same."""
    upload = _own(request, upload_id)
    return _described(upload, upload_take(upload))


@answers_json
@require_POST
def whole_zip(request: HttpRequest) -> JsonResponse:
    """Multipart with one zip as ``file``: see ``_described``."""
    file = request.FILES.get("file")
    if file is None:
        raise SnapshotRefused("No zip file came along. Choose one and send it again.")
    taken = zip_take(file, name=file.name or "")
    upload = upload_begin(request.user, file.name or "")
    Upload.objects.filter(pk=upload.pk).update(snapshot=taken.snapshot)
    return _described(upload, taken)


def _described(upload: Upload, taken: Taken) -> JsonResponse:
    files = list(taken.snapshot.files.values("path", "size_bytes"))
    return JsonResponse(
        {
            "id": str(upload.pk),
            "snapshot": taken.snapshot.digest,
            "size": taken.snapshot.size_bytes,
            "files": [{"path": file["path"], "size": file["size_bytes"]} for file in files],
            "entry_candidates": entry_candidates(file["path"] for file in files),
            "unwrapped": taken.unwrapped,
            "ignored_count": taken.ignored_count,
            "ignore_file": taken.ignore_file,
        }
    )


def _own(request: HttpRequest, upload_id: uuid.UUID) -> Upload:
    return get_object_or_404(Upload, pk=upload_id, owner=request.user)


def _json(content: bytes, kind: type[Kind], what: str) -> Kind:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SnapshotRefused(f"{what} is not JSON: {error}.") from error
    if not isinstance(value, kind):
        raise SnapshotRefused(f"{what} must be a JSON {'list' if kind is list else 'object'}.")
    return value


def _error(sentence: str, status: int) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)


urlpatterns = [
    path("api/v1/uploads", begin, name="upload-begin"),
    path("api/v1/uploads/rules", rules, name="upload-rules"),
    path("api/v1/uploads/zip", whole_zip, name="upload-zip"),
    path("api/v1/uploads/<uuid:upload_id>/files", add, name="upload-files"),
    path("api/v1/uploads/<uuid:upload_id>/finish", finish, name="upload-finish"),
]
