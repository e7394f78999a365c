"""Samples from Prometheus: node_exporter for hosts, a libvirt exporter for instances.

The source sends range queries, so that it fetches later what Prometheus measured while it or the
forecaster was unreachable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
from oslo_config import cfg

from nova_cachemig.model.load import Sample
from nova_cachemig.telemetry import response
from nova_cachemig.telemetry.access import Access
from nova_cachemig.telemetry.labels import canonical, host_of
from nova_cachemig.telemetry.queries import Ranges, host_pattern, parse
from nova_cachemig.telemetry.source import (
    AccessError,
    SampleSink,
    Source,
    SourceError,
    UnreachableError,
)

CHUNK: Final = 360
"""Points of each series in one response, unless it is too large: 13 MB with 1,000 hosts."""

_UNAUTHORIZED: Final = 401
"""The credentials are wrong or missing."""
_FORBIDDEN: Final = 403
"""The credentials do not suffice, perhaps for this query only."""


class PrometheusSource(Source):
    """Polls a Prometheus server."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = self._options = conf.telemetry
        self._ranges = Ranges(float(options.resolution), float(options.keep), CHUNK)
        own = "[telemetry] prometheus_"
        self._hosts = parse(options.prometheus_host_query, f"{own}host_query")
        self._instances = parse(options.prometheus_instance_query, f"{own}instance_query")
        self._pattern = host_pattern(options.prometheus_host_pattern, f"{own}host_pattern")
        names: dict[str, str] = options.prometheus_host_names
        self._names = {canonical(host): name for host, name in names.items()}
        self._access = Access(options)
        self._client = httpx.Client(
            timeout=options.prometheus_timeout, verify=self._access.tls, trust_env=False
        )
        self._requests = response.Requests(options.prometheus_timeout)
        self._sink: SampleSink | None = None

    def start(self, sink: SampleSink) -> None:
        """Deliver the samples of later polls to ``sink``."""
        self._sink = sink

    def poll(self, since: float, now: float) -> None:
        """Send each query on its own, so that a failing one does not block the others."""
        failures = []
        for name, query in [*self._hosts, *self._instances]:
            try:
                self._fetch(name, query, since, now, of_instances=(name, query) in self._instances)
            except (UnreachableError, AccessError):
                raise  # the next query would wait just as long, or be refused too
            except SourceError as exc:
                failures.append(f"{name}: {exc}")
        if failures:
            raise SourceError("; ".join(failures))

    def check(self, now: float) -> None:
        """Send one small query; raises SourceError if Prometheus does not respond to it."""
        self._query_range("1", now - self._ranges.step, now)

    def stop(self) -> None:
        """Close the connections."""
        self._client.close()

    def _fetch(
        self, name: str, query: str, since: float, now: float, *, of_instances: bool
    ) -> None:
        for begin, end in self._ranges.missing(query, since, now):
            samples = list(self._samples(name, self._query_range(query, begin, end), of_instances))
            if self._sink is not None:
                self._sink.add(samples, live=False)
            if samples or end < now - 10 * self._ranges.step:
                self._ranges.fetched(query, end)  # a recent empty range may be late: ask again

    def _query_range(self, query: str, begin: float, end: float) -> list[dict[str, Any]]:
        step = self._ranges.step
        form = {"query": query, "start": f"{begin:.3f}", "end": f"{end:.3f}", "step": step}
        try:
            body = self._requests.run(lambda deadline: self._post(form, deadline))
            if body["data"]["resultType"] != "matrix":
                raise SourceError(f"the result is a {body['data']['resultType']}, not a matrix")
            result: list[dict[str, Any]] = body["data"]["result"]
        except response.TooLargeError as exc:
            if self._ranges.shrink():
                raise response.TooLargeError(f"{exc}: the next ones are for fewer points") from exc
            raise
        except (httpx.HTTPError, OSError) as exc:
            raise UnreachableError(f"{type(exc).__name__}: {exc}") from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise SourceError(f"not a response of Prometheus: {exc!r:.200}") from exc
        return result

    def _post(self, form: dict[str, Any], deadline: float) -> Any:
        """Return the body of the response; raises SourceError and httpx' errors."""
        headers = self._access.headers() | response.ACCEPTED
        url = f"{self._access.url}/api/v1/query_range"
        with self._client.stream("POST", url, data=form, headers=headers) as found:
            status = f"{found.status_code} {found.reason_phrase}"
            if found.status_code == _UNAUTHORIZED:  # the body is usually no JSON
                raise AccessError(status)
            if found.status_code == _FORBIDDEN:
                raise SourceError(status)
            encoding = found.headers.get("Content-Encoding")
            content = response.body(encoding, found.iter_bytes(), deadline)
        body = _json(found, content)
        if body.get("status") != "success":
            raise SourceError(f"{found.status_code} {body.get('error', body)!s:.200}")
        return body

    def _samples(
        self, name: str, result: list[dict[str, Any]], of_instances: bool
    ) -> Iterator[Sample]:
        for series in result:
            try:
                labels = series["metric"]
                host = self._host(labels)
                instance = None
                if of_instances:
                    instance = labels[self._options.prometheus_instance_label]
                points = [(float(at), float(value)) for at, value in series["values"]]
            except (KeyError, TypeError, ValueError) as exc:
                if self._sink is not None:
                    self._sink.malformed(f"{name} of Prometheus: {exc!r} in {series!r:.200}")
                continue
            for at, value in points:
                yield Sample(host, name, at, value, instance)

    def _host(self, labels: dict[str, str]) -> str:
        """Nova's name of the host; KeyError without the label, ValueError without a host in it."""
        label = labels[self._options.prometheus_host_label]
        if self._pattern is None:
            host = host_of(label)
        else:
            found = self._pattern.search(label)
            if found is None or not found["host"]:
                raise ValueError(f"prometheus_host_pattern finds no host in {label!r}")
            host = canonical(found["host"])
        return self._names.get(host, host)


def _json(found: httpx.Response, content: bytes) -> Any:
    """Parse the body; raises SourceError. Errors of Prometheus are JSON, those of a proxy not."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as exc:
        location, _, _ = found.headers.get("Location", "").partition("?")  # it may have secrets
        raise SourceError(
            f"{found.status_code} {found.reason_phrase}, and no JSON: check [telemetry] "
            "prometheus_url" + (f". It redirects to {location}" if location else "")
        ) from exc
