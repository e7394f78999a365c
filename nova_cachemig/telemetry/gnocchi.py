"""Samples from Gnocchi: the aggregates of Ceilometer's measures of hosts and instances.

Gnocchi keeps one value for each period of ``[gnocchi] granularity`` seconds. The source fetches
complete periods, and gives each value the time in the middle of its period. Ceilometer delivers the
measures of different hosts at different times. Therefore the last periods are fetched again, and
values that are already known are left out.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import keystoneauth1.exceptions as errors
from keystoneauth1 import loading
from oslo_config import cfg

from nova_cachemig.conf.gnocchi import GROUP
from nova_cachemig.model.causes import cause_of
from nova_cachemig.model.load import Sample
from nova_cachemig.telemetry import response
from nova_cachemig.telemetry.queries import Ranges, host_pattern, parse
from nova_cachemig.telemetry.source import (
    AccessError,
    SampleSink,
    Source,
    SourceError,
    UnreachableError,
)

CHUNK: Final = 360
"""Periods in one response, unless it is too large."""
LATE: Final = 3
"""Periods that are fetched again."""
_TIMEOUT: Final = 10.0
"""Seconds for one response if [gnocchi] timeout is unset; keystoneauth1 has no limit itself."""
_RESPONSES: Final = 2
"""A query takes at most as long as this many of them: one is Keystone's."""
_HEADERS: Final = response.ACCEPTED | {"Accept": "application/json"}
"""Without the second, Gnocchi's errors are in HTML."""
_ALIVE: Final = {"=": {"ended_at": None}}
"""Resources of instances that still exist."""


class _Query(NamedTuple):
    metric: str
    operations: str
    of_instances: bool

    @property
    def name(self) -> str:
        kind = "instance" if self.of_instances else "host"
        return f"{kind} {self.metric} {self.operations}"


class GnocchiSource(Source):
    """Polls Gnocchi's API."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = self._options = conf[GROUP.name]
        self._ranges = Ranges(float(options.granularity), float(conf.telemetry.keep), CHUNK)
        self._queries = [
            _Query(metric, operations, of_instances)
            for lines, option, of_instances in (
                (options.host_query, "host_query", False),
                (options.instance_query, "instance_query", True),
            )
            for metric, operations in parse(lines, f"[gnocchi] {option}")
        ]
        self._pattern = host_pattern(options.host_pattern, "[gnocchi] host_pattern")
        self._adapter = _adapter(conf)
        self._requests = response.Requests(_RESPONSES * self._adapter.session.timeout)
        self._sink: SampleSink | None = None
        self._newest: dict[str, dict[str, float]] = {}
        """Query → host or instance → time of its newest value."""

    def start(self, sink: SampleSink) -> None:
        """Deliver the samples of later polls to ``sink``."""
        self._sink = sink

    def poll(self, since: float, now: float) -> None:
        """Send each query on its own, so that a failing one does not block the others."""
        failures = []
        for query in self._queries:
            try:
                self._fetch(query, since, now)
            except (UnreachableError, AccessError):
                raise  # the next query would wait just as long, or be refused too
            except SourceError as exc:
                failures.append(f"{query.metric}: {exc}")
        if failures:
            raise SourceError("; ".join(failures))

    def check(self, now: float) -> None:
        """Send the first query for two periods; raises SourceError if Gnocchi refuses it."""
        end = now // self._ranges.step * self._ranges.step
        for query in self._queries[:1]:
            self._aggregates(query, end - 2 * self._ranges.step, end)

    def stop(self) -> None:
        """Close the connections."""
        self._adapter.session.session.close()

    def _fetch(self, query: _Query, since: float, now: float) -> None:
        step = self._ranges.step
        newest = self._newest.get(query.name, {})
        kept: dict[str, float] = {}
        for begin, end in self._ranges.missing(query.name, since - step / 2, now - step):
            samples = []
            for sample in self._samples(query, self._aggregates(query, begin, end + step)):
                key = sample.instance or sample.host
                known = kept.get(key, newest.get(key, 0.0))
                kept[key] = max(known, sample.at)
                if sample.at > known:
                    samples.append(sample)
            if self._sink is not None:
                self._sink.add(samples, live=False)
            if samples or end < now - 10 * step:  # nothing is new: all hosts may be late
                self._ranges.fetched(query.name, end - LATE * step)
        if kept:
            self._newest[query.name] = kept  # without those that are gone

    def _aggregates(self, query: _Query, begin: float, stop: float) -> list[Any]:
        """Return a series for each host or instance, of the periods that begin before ``stop``."""
        options = self._options
        if query.of_instances:
            kind, groups = options.instance_resource_type, ["id", options.instance_host_attribute]
        else:
            kind, groups = options.host_resource_type, [options.host_attribute]
        body = {"operations": query.operations, "resource_type": kind, "search": _ALIVE}
        params = {
            "start": f"{begin:.0f}",
            "stop": f"{stop:.0f}",
            "granularity": f"{self._ranges.step:.0f}",
            "groupby": groups,
        }
        try:
            found = self._requests.run(
                lambda deadline: self._post("/v1/aggregates", params, body, deadline)
            )
        except response.TooLargeError as exc:
            if self._ranges.shrink():
                raise response.TooLargeError(f"{exc}: the next ones are for fewer periods") from exc
            raise
        if not isinstance(found, list):
            raise SourceError(f"not a response of Gnocchi: {found!r:.200}")
        return found

    def _post(
        self, path: str, params: dict[str, Any], body: dict[str, Any], deadline: float
    ) -> Any:
        try:
            # log: keystoneauth1 would read all of the body.
            found = self._adapter.post(
                path,
                params=params,
                json=body,
                headers=_HEADERS,
                raise_exc=False,
                stream=True,
                log=False,
            )
            with found:
                encoding = found.headers.get("Content-Encoding")
                content = response.body(encoding, found.iter_content(response.CHUNK), deadline)
        except errors.Unauthorized as exc:
            raise AccessError(f"401 Unauthorized: {cause_of(exc)}") from exc
        except errors.ConnectionError as exc:
            raise UnreachableError(cause_of(exc)) from exc
        except (errors.ClientException, OSError) as exc:  # OSError: cafile does not exist
            raise SourceError(cause_of(exc)) from exc
        if found.ok:
            try:
                return json.loads(content)
            except (ValueError, RecursionError) as exc:
                raise SourceError(f"not a response of Gnocchi: {exc!r:.200}") from exc
        error = AccessError if found.status_code == 401 else SourceError
        raise error(f"{found.status_code} {found.reason}{_reason(content)}")

    def _samples(self, query: _Query, series: list[Any]) -> Iterator[Sample]:
        options = self._options
        for one in series:
            try:
                group, measures = one["group"], one["measures"]["measures"]
                if "aggregated" not in measures:
                    raise SourceError("aggregate the resources: (aggregate mean (metric …))")
                if query.of_instances:
                    host, instance = group[options.instance_host_attribute], group["id"]
                else:
                    host, instance = self._host(group[options.host_attribute]), None
                points = [
                    (self._middle(at), float(value)) for at, _, value in measures["aggregated"]
                ]
            except (KeyError, TypeError, ValueError) as exc:
                if self._sink is not None:
                    self._sink.malformed(f"{query.metric} of Gnocchi: {exc!r} in {one!r:.200}")
                continue
            for at, value in points if host else ():  # an instance may have no host
                yield Sample(host, query.metric, at, value, instance)

    def _host(self, name: str) -> str:
        """Nova's name of the host; ValueError if there is none."""
        found = self._pattern.search(name) if self._pattern else None
        host = name if self._pattern is None else found and found["host"]
        if not host:
            raise ValueError(f"host_pattern finds no host in {name!r}")
        return host

    def _middle(self, begin: str) -> float:
        return datetime.datetime.fromisoformat(begin).timestamp() + self._ranges.step / 2


def _adapter(conf: cfg.ConfigOpts) -> Any:
    """Return keystoneauth1's client of the endpoint; raises SourceError. Does no I/O."""
    try:
        auth = loading.load_auth_from_conf_options(conf, GROUP.name)
    except errors.ClientException as exc:
        raise SourceError(f"[gnocchi] is not complete: {exc}") from exc
    if auth is None:
        raise SourceError(
            "[gnocchi] auth_type is not set: set it, and the account with which the forecaster "
            "queries Gnocchi"
        )
    session = loading.load_session_from_conf_options(conf, GROUP.name, auth=auth)
    if session.timeout is None:
        session.timeout = _TIMEOUT
    try:
        return loading.load_adapter_from_conf_options(conf, GROUP.name, session=session, auth=auth)
    except TypeError as exc:  # version together with min_version
        raise SourceError(f"[gnocchi] {exc}") from exc


def _reason(content: bytes) -> str:
    """Return Gnocchi's own words after a colon; none if the response is not Gnocchi's."""
    try:
        text = json.loads(content)["description"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    if isinstance(text, dict):
        text = ", ".join(str(text[key]) for key in ("cause", "reason", "detail") if key in text)
    return f": {text!s:.200}" if text else ""
