"""The things that a caller may see: those of his project, or all.

A caller with rights in his project only gets 404 for a thing of another project, as for a thing
that does not exist. If Nova is unreachable and an owner is unknown, he gets 503 for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from nova_cachemig.api import policies
from nova_cachemig.api.call import Request
from nova_cachemig.api.errors import ApiError

T = TypeVar("T")


class Owned(NamedTuple, Generic[T]):
    """A thing and its project; None: unknown."""

    item: T
    project: str | None


def wants_all(request: Request, rule: str) -> bool:
    """Whether a list has the things of all projects. Raises ApiError (403) without the right."""
    request.caller.require(rule, request.caller.project)
    if request.query.get("all_projects") != "true":
        return False
    request.caller.require(policies.ALL_PROJECTS, None)
    return True


def listed(
    request: Request, rule: str, items: Iterable[T], instance: Callable[[T], str]
) -> list[Owned[T]]:
    """Return the things for a list. ``instance``: the UUID of the instance of one."""
    everywhere = wants_all(request, rule)
    found = list(items)
    projects = request.projects.of({instance(item) for item in found}, needed=not everywhere)
    owned = [Owned(item, projects.get(instance(item))) for item in found]
    return [one for one in owned if everywhere or request.caller.owns(one.project)]


def sees_all(request: Request, rule: str) -> bool:
    """Whether the caller may show things of any project. Raises ApiError (403) without a right."""
    request.caller.require(rule, request.caller.project)
    return request.caller.may(rule, None)


def shown(
    request: Request,
    rule: str,
    items: Iterable[T],
    instance: Callable[[T], str],
    matches: Callable[[T], bool],
) -> Owned[T]:
    """Return the thing that matches. Raises ApiError (404)."""
    everywhere = sees_all(request, rule)
    found = list(items)
    wanted = next((item for item in found if matches(item)), None)
    asked = found if not everywhere else [] if wanted is None else [wanted]
    projects = request.projects.of({instance(item) for item in asked}, needed=not everywhere)
    if wanted is not None:
        project = projects.get(instance(wanted))
        if everywhere or request.caller.owns(project):
            return Owned(wanted, project)
    raise missing()


def missing() -> ApiError:
    """Return the error for a thing that does not exist, or that the caller may not see."""
    return ApiError(404, "this does not exist, or belongs to another project")
