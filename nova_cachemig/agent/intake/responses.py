"""The responses to a write, and to a request that repeats one."""

from __future__ import annotations

from nova_cachemig.agent.intake import keys, page, status
from nova_cachemig.agent.intake.http import (
    RETRY_AFTER,
    Response,
    guest_response,
    json_response,
    problem_response,
)
from nova_cachemig.agent.intake.service import ServiceIntake
from nova_cachemig.model.write import LOST, NOTE, GuestResponse, WriteState
from nova_cachemig.replay.actions import Tell, Told


def told(intake: ServiceIntake, tell: Tell, *, respond_async: bool, navigates: bool) -> Response:
    """Return the response that the machine has decided about."""
    if tell.told is Told.RESPONSE:
        return _of_guest(tell.response)
    url = status.url_of(intake.secret, tell.position)
    if tell.told is Told.UNKNOWN:
        return unknown(intake, tell.position, tell.why)
    if tell.told is Told.IN_DOUBT:
        detail = f"The server may or may not have applied this write: {tell.why}."
        return problem_response(502, detail, ("location", url))
    extra = (("preference-applied", "respond-async"),) if respond_async else ()
    if navigates:
        return page.page_response(202, page.SAVED, url, ("location", url), *extra, refresh=True)
    facts = {"state": WriteState.ACCEPTED.value, "status": url}
    return json_response(202, facts, ("location", url), RETRY_AFTER, *extra)


def _of_guest(response: GuestResponse) -> Response:
    """Return the guest's response; 502 if its body is lost, and a client would not notice."""
    lost = response.body_is_lost and response.tail is None
    if not lost or not 200 <= response.status < 300:
        return guest_response(response)
    why = (response.header(NOTE) or "").removeprefix(LOST)
    detail = f"The server responded to this write with {response.status}, but {why}."
    kept = [pair for pair in response.headers if pair[0] in {"location", "set-cookie", NOTE}]
    return problem_response(502, detail, *kept)


def unknown(intake: ServiceIntake, position: int, why: str = "") -> Response:
    """Return what a proxy tells that has lost its server: the write may be applied or not.

    ``why``: the reason without a period; empty if the database is the reason.
    """
    detail = (
        f"It is unknown whether this write was or will be applied: {why}. The status URL tells "
        "the outcome."
        if why
        else "The journal's database does not say whether it has this write. The status URL tells "
        "as soon as it is known; if there is no such write then, it was not accepted."
    )
    return problem_response(504, detail, ("location", status.url_of(intake.secret, position)))


def key_conflict(difference: str) -> Response:
    """``difference`` to the first request with the key; empty for a repetition."""
    if difference:
        return problem_response(422, difference)
    return problem_response(409, "The first request with this Idempotency-Key is in progress.")


def body_lost(first: GuestResponse) -> Response:
    """Respond to a repetition if the body of the first response is not kept.

    With the status of the first one, a client would take the missing body for an empty one.
    """
    detail = (
        f"The server responded to the first request with this Idempotency-Key with {first.status}, "
        "but the body of its response is not kept. This request was not accepted."
    )
    location = first.header("location")
    extra = () if location is None else (("location", location),)
    return problem_response(409, detail, *extra)


def renewed_login(first: str, second: str) -> Response:
    """Respond to a client whose login was renewed after its first request with this key."""
    if not keys.same_request(first, second):
        return problem_response(422, keys.difference(first, second))
    detail = (
        "This Idempotency-Key was used before the login was renewed. The first request was "
        "accepted, and this one was not: it would be applied twice."
    )
    return problem_response(409, detail)
