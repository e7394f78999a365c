"""No request is hidden in another one, in any phase of the edge."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from fnmatch import fnmatchcase

from tests.functional.twin import smuggling, wire
from tests.functional.twin.case import Case, case, request
from tests.functional.twin.rig import Seen, TwinCase

_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_BARE = re.compile(r"[\r\n\0]")
_VICTIMS = [case(f"victim {number}", request()) for number in range(8)]


class SmugglingTest(TwinCase):
    maxDiff = None

    async def hides_nothing(self, ask: Callable[[Sequence[Case]], Awaitable[Seen]]) -> None:
        """Send the corpus, and then honest requests."""
        cases = list(smuggling.cases())
        seen = await ask(cases)
        faults = []
        for one in cases:
            plain = any(fnmatchcase(one.name, name) for name in smuggling.PLAIN)
            got = self.guest.got[one.mark]
            problems = [fault for message in got for fault in _faults(message)]
            behind = seen[one.name]["client.0.after"]
            if not plain and any(smuggling.HIDDEN in message.start for message in got):
                problems.append("the guest got the second request")
            if not plain and "HTTP/1." in behind and "HTTP/1.1 400" not in behind:
                problems.append(f"a second response: {behind}")
            if problems and not any(fnmatchcase(one.name, name) for name in smuggling.KNOWN):
                faults.append(f"{one.name}: {'; '.join(problems)}")
        self.assertEqual("", "\n".join(faults))
        await self.honest()

    async def honest(self) -> None:
        """Check that the connections to the guest serve other clients as before."""
        seen = await self._ask(self.edge, _VICTIMS)
        for one in _VICTIMS:
            body = seen[one.name]["client.0.body"]
            self.assertEqual(repr(b"the page of " + one.mark.encode()), body)

    async def test_idle(self) -> None:
        await self.hides_nothing(self.idle)

    async def test_armed(self) -> None:
        await self.hides_nothing(self.armed)

    async def test_shielded(self) -> None:
        await self.hides_nothing(self.shielded)


def _faults(message: wire.Message) -> list[str]:
    """Return the reasons for which two servers could read a request differently."""
    found = []
    for name, value in message.fields:
        if not _TOKEN.fullmatch(name) or _BARE.search(value):
            found.append(f"the field {name!r}: {value!r}")
    lengths, codings = message.all("content-length"), message.all("transfer-encoding")
    if len(lengths) + len(codings) > 1:
        found.append(f"two lengths: {lengths} {codings}")
    if codings and codings[0].lower() != "chunked":
        found.append(f"a coding: {codings}")
    if lengths and not lengths[0].isdecimal():
        found.append(f"a length: {lengths}")
    return found
