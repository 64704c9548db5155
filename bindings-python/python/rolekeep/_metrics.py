"""What the library measures."""

from __future__ import annotations

from . import _rolekeep


def metrics() -> str:
    """All metrics of this process, of every store in it, in the text format of Prometheus: serve it at `/metrics`, with the content
    type `text/plain; version=0.0.4`, to whoever may know how much happens. No label is an id.

    Nothing is measured before the first call, so that an application that never asks pays nothing; ask once at the start, where the
    first minutes are to count. A forked child counts for itself. Synchronous checks (`can`) are not counted.

    ```python
    @app.get("/metrics")
    def metrics() -> Response:
        return Response(rolekeep.metrics(), media_type="text/plain; version=0.0.4")
    ```
    """
    return _rolekeep.metrics()
