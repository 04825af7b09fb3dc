"""Counts and times of a server, for Prometheus."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """What a server counts."""

    kind = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        self._requests = Counter("topwork_requests", "Requests to /predict.", ["status"], registry=self._all)
        self._seconds = Histogram("topwork_request_seconds", "Time of a request.", buckets=SECONDS, registry=self._all)
        self._pictures = Counter("topwork_pictures", "Pictures, or rows of them.", ["result"], registry=self._all)
        self._waiting = Gauge("topwork_waiting", "Requests that wait or are answered now.", registry=self._all)

    def note(self, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def pictures(self, count: int, unread: int) -> None:
        """Count rows, and those of them that could not be read."""
        self._pictures.labels("answered").inc(count - unread)
        self._pictures.labels("unread").inc(unread)

    def waiting(self, count: int) -> None:
        """Note how many requests wait or are answered now."""
        self._waiting.set(count)

    def text(self) -> bytes:
        """Return all as Prometheus reads it."""
        return generate_latest(self._all)
