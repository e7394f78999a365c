"""Two users ask for one page: the first while armed, the second in each phase of a handover."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Guest, Request, until
from tests.functional.leaks.known import KNOWN_LEAKS
from tests.functional.leaks.way import TOKEN, User, Way
from tests.functional.twin import wire

SILENCE = 1.5  # s, in which the edge answers from the cache or not at all
PATIENCE = 10.0  # s, in which a stored page must come
_AT_A_TIME = 50


class PersonalGuest(Guest):
    """Repeats each token of a request in its response, and in a field of it for HEAD."""

    def __init__(self) -> None:
        super().__init__()
        self.ways: dict[str, Way] = {}
        self._numbers = itertools.count()
        self.cut: asyncio.Event | None = None  # set: requests that wait lose their connection

    async def _respond(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        if self.cut is not None and not self.running.is_set():
            await self.cut.wait()
            raise ConnectionResetError
        tokens = TOKEN.findall(" ".join((request.url, *request.headers.values())))
        page = next((page for page in self.ways if page in request.url), None)
        if page is None:
            return 404, {}, b""
        reply = dict(self.ways[page].reply)
        if self.ways[page].unique:
            tokens.append(f"secret-{next(self._numbers)}n")
            reply = {
                name: value.replace("secret-cookie", tokens[-1]) for name, value in reply.items()
            }
        shown = " ".join(tokens)
        return 200, {**reply, "X-Shown": shown}, shown.encode()


@dataclasses.dataclass(frozen=True)
class Page:
    """An answer of the edge."""

    status: int
    tokens: frozenset[str]


class LeakCase(EngineCase):
    """``judge`` fails with the ways in which the second user sees what is the first one's."""

    guest: PersonalGuest

    def new_guest(self) -> PersonalGuest:
        return PersonalGuest()

    async def judge(self, ways: Sequence[Way]) -> None:
        """Try all ways in each phase."""
        self.guest.ways = {way.page: way for way in ways}
        await self.mean_something(ways)
        await self.flip(EdgeState.ARMED)
        for _ in range(2):  # the second response is stored
            first = {way: await page for way, page in self.asking(ways, "first")}
        again = {way: await page for way, page in self.asking(ways, "first", "/armed")}
        found = {
            (way.name, "armed"): problem
            for way, page in self.asking(ways, "second", "/armed")
            if (problem := _problem(way, await page, again[way]))
        }
        self.guest.running.clear()
        await self.flip(EdgeState.SHIELDED)
        asking = dict(self.asking(ways, "second"))
        await asyncio.wait(asking.values(), timeout=SILENCE)
        self.guest.running.set()
        await self.flip(EdgeState.REPLAY)
        for way, page in asking.items():
            if problem := _problem(way, await page, first[way]):
                found[way.name, "shielded"] = problem  # or just afterwards
        self.report(ways, found)

    async def judge_found(self, ways: Sequence[Way]) -> None:
        """Check that each second user gets the first one's page in the silence."""
        self.guest.ways = {way.page: way for way in ways}
        await self.flip(EdgeState.ARMED)
        for _ in range(2):
            first = {way: await page for way, page in self.asking(ways, "first")}
        self.guest.running.clear()
        await self.flip(EdgeState.SHIELDED)
        asking = dict(self.asking(ways, "second"))
        await asyncio.wait(asking.values(), timeout=PATIENCE)
        self.guest.running.set()
        await self.flip(EdgeState.REPLAY)
        missed = [
            way.name for way, page in asking.items() if (await page).tokens != first[way].tokens
        ]
        self.assertEqual([], missed)

    async def judge_waiting(self, ways: Sequence[Way]) -> None:
        """Try all ways with requests that are in flight at the pause, and with held ones."""
        self.guest.ways = {way.page: way for way in ways}
        await self.mean_something(ways)
        await self.flip(EdgeState.ARMED)
        for _ in range(2):
            first = {way: await page for way, page in self.asking(ways, "first")}
        before = len(self.guest.seen)
        self.guest.running.clear()
        self.guest.cut = asyncio.Event()
        cut = self.asking(ways, "second")
        await until(lambda: len(self.guest.seen) == before + len(ways), 20)
        await self.flip(EdgeState.SHIELDED)
        self.guest.cut.set()
        # Nothing of these pages is stored: both users wait for the guest.
        held = {who: self.asking(ways, who, "/held") for who in ("first", "second")}
        await asyncio.wait([page for _, page in (*cut, *held["second"])], timeout=SILENCE)
        early = [way.name for way, page in held["second"] if page.done()]
        self.guest.running.set()
        await self.flip(EdgeState.REPLAY)
        other = {way: await page for way, page in held["first"]}
        found = {
            (way.name, phase): problem
            for phase, pages, others in (
                ("shielded, cut", cut, first),
                ("shielded, held", held["second"], other),
            )
            for way, page in pages
            if (problem := _problem(way, await page, others[way]))
        }
        self.assertEqual([], early, "not held")
        self.report(ways, found, ("shielded, cut",))

    async def mean_something(self, ways: Sequence[Way]) -> None:
        """Check that the guest does tell the users apart, or that nothing reaches it."""
        await self.flip(EdgeState.PASS)
        first = {way: await page for way, page in self.asking(ways, "first")}
        second = {way: await page for way, page in self.asking(ways, "second")}
        same = [
            way.name
            for way in ways
            if first[way].status == 200 and first[way].tokens == second[way].tokens
        ]
        self.assertEqual([], same, "the guest sees no difference between the users")

    def asking(
        self, ways: Sequence[Way], who: str, path: str = ""
    ) -> list[tuple[Way, asyncio.Task[Page]]]:
        """Begin a request of each way's first or second user."""
        slots = asyncio.Semaphore(_AT_A_TIME if self.guest.running.is_set() else len(ways))
        return [
            (way, asyncio.create_task(self.ask(getattr(way, who), way.page + path, slots)))
            for way in ways
        ]

    async def ask(self, user: User, page: str, slots: asyncio.Semaphore) -> Page:
        """Send one request and read the response."""
        async with slots, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*self.edge, local_addr=(user.address, 0))
            writer.write(user.request(page).encode())
            start, fields = await wire.read_head(reader)
            message = wire.Message(start, fields)
            if user.method != "HEAD":
                message = await wire.read_body(reader, message, to_the_end=True)
            writer.close()
        text = " ".join((start, *(value for _, value in fields), message.body.decode()))
        return Page(message.status, frozenset(TOKEN.findall(text)))

    def report(
        self,
        ways: Sequence[Way],
        found: Mapping[tuple[str, str], str],
        phases: Sequence[str] = ("armed", "shielded"),
    ) -> None:
        """Fail for each leak that is not known, and for each known one that is none.

        ``phases``: those in which a known leak shows each time, whatever the order of requests.
        """
        lines = [
            f"{name}, {phase}: {problem}"
            for (name, phase), problem in found.items()
            if not _known(name, phase)
        ]
        lines += [
            f"{way.name}, {phase}: leaks no more, so remove it from known.py"
            for way, phase in itertools.product(ways, phases)
            if _known(way.name, phase) and (way.name, phase) not in found
        ]
        if lines:
            self.fail("\n".join(lines))


def _known(name: str, phase: str) -> bool:
    return any(
        fnmatchcase(name, one) and fnmatchcase(phase, phases) for one, phases, _ in KNOWN_LEAKS
    )


def _problem(way: Way, page: Page, other: Page) -> str:
    """Return the fault of a page for the second user, given one of the first; or nothing."""
    own = way.second.own()
    if foreign := page.tokens & other.tokens - own:
        return f"shows {', '.join(foreign)}"
    if page.status == 200 and not page.tokens >= {token for token in own if "secret" in token}:
        return "not his page"
    return "" if page.status in {200, 206} or other.status != 200 else f"status {page.status}"
