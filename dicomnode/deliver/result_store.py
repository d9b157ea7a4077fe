"""Result objects as durable files, each with the row that tells of it.

A file that is there already holds the same content, for its name is made of the UID and that of
the content (`results.naming`): it stays, with the times of the analysis that made it first. So no
two destinations ever get two versions of one UID.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from dicomnode.results.common.context import ResultObject
from dicomnode.results.common.encoding import encode
from dicomnode.results.common.naming import content_digest
from storage.records import ResultRecord
from storage.results import ResultFiles

AT_ONCE = 4
"""Files that are written at the same time."""


def store_result(
    files: ResultFiles,
    series_key: str,
    result: ResultObject,
    created_at: datetime,
    kind: str | None = None,
) -> ResultRecord:
    """Store one object of the set made at `created_at`; `kind`: None for its own.

    Raises:
        OSError: the disk is full; the file before it is untouched then.
    """
    uid = str(result.sop_instance_uid)
    kept = files.find(series_key, uid)
    if kept is not None and _is_whole(files.open_path(kept), result):
        path, size = kept, files.open_path(kept).stat().st_size
    else:
        content = encode(result)
        path, size = files.store(series_key, uid, content), len(content)
    return ResultRecord(
        sop_instance_uid=uid,
        sop_class_uid=str(result.sop_class_uid),
        result_series_instance_uid=str(result.data_set.SeriesInstanceUID),
        series_key=series_key,
        kind=kind or result.kind,
        path=path,
        size_bytes=size,
        created_at=created_at,
        choices=" ".join(sorted(result.choices)),
        node_id=files.node_id,
    )


def store_results(
    files: ResultFiles, series_key: str, results: Sequence[ResultObject], created_at: datetime
) -> list[ResultRecord]:
    """As `store_result`, several at once: most of it is waiting for the disk.

    Raises:
        as `store_result`.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        stored = pool.map(lambda each: store_result(files, series_key, each, created_at), results)
        return list(stored)


def _is_whole(file: Path, result: ResultObject) -> bool:
    """Whether a file says all that the object says: a damaged one is to be made anew."""
    try:
        kept = pydicom.dcmread(file)
        return content_digest(kept) == content_digest(result.data_set)
    except (InvalidDicomError, OSError, EOFError, ValueError, AttributeError):
        return False
