"""The clock of this node: is it synchronized, and does it agree with Nova's?"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import Final

import keystoneauth1.exceptions
import novaclient.exceptions
from oslo_config import cfg

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.nova import client
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, skipped
from nova_cachemig.doctor.verdicts import clock as verdicts
from nova_cachemig.model.causes import cause_of

_BUFFER: Final = 256  # bytes; larger than struct timex
_STATUS: Final = 5  # the offset of the field "status", in longs


def checks(context: Context) -> Sequence[Check]:
    """Checks of the node's clock."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    return [
        Check("clock.ntp", lambda: [_ntp()]),
        Check("clock.nova", lambda: [_nova(conf)], ("nova.token",)),
    ]


def _ntp() -> Verdict:
    timex = (ctypes.c_long * (_BUFFER // ctypes.sizeof(ctypes.c_long)))()  # modes = 0: only read
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        return skipped("this system does not report the state of its clock")
    return verdicts.synchronized(timex[_STATUS] & 0xFFFFFFFF)


def _nova(conf: cfg.ConfigOpts) -> Verdict:
    try:
        made = client(conf)
        made.client.get_endpoint()  # with a token: the next request is a single one
        before = time.time()
        response, _ = made.client.get("/os-migrations?limit=1")
    except (
        keystoneauth1.exceptions.ClientException,
        novaclient.exceptions.ClientException,
        ComponentError,
    ) as exc:
        return skipped(f"Nova's API cannot be asked: {cause_of(exc)}")
    return verdicts.skew(response.headers.get("Date"), before, time.time())
