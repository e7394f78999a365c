"""X-Forwarded-For: each service decides, in every state of the edge."""

from __future__ import annotations

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase

FORGED = {"X-Forwarded-For": "203.0.113.66"}
NODE = "127.0.0.1"  # the client's address, as the node sees it


class ByDefault(EngineCase):
    """``self.expected``: service → X-Forwarded-For of its requests, if the client sends FORGED."""

    expected = {
        "default": f"203.0.113.66, {NODE}",
        "yes": f"203.0.113.66, {NODE}",
        "no": "203.0.113.66",
    }

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        services = [
            self.a_service(name, hosts=(f"{name}.example",), forwarded_for=chosen)
            for name, chosen in (("default", None), ("yes", True), ("no", False))
        ]
        self.assertEqual({}, await self.engine.apply([self.route(one) for one in services]))

    async def forwarded(self, name: str, method: str, url: str, client: dict[str, str]) -> str:
        """Send a request; its X-Forwarded-For at the guest, or at the intake."""
        seen = len(self.guest.seen), len(self.intake.seen)
        headers = {"Host": f"{name}.example", **client}
        body = b"x" if method == "POST" else b""
        response = await self.get(url, method=method, headers=headers, body=body)
        self.assertEqual(200, response.status)
        requests = self.intake.seen[seen[1] :] or self.guest.seen[seen[0] :]
        return requests[0].headers.get("x-forwarded-for", "")

    async def test_each_service_in_each_state(self) -> None:
        number = 0
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
            for name, forged in self.expected.items():
                await self.engine.set_state(name, state)
                for method in ("GET", "POST"):
                    with self.subTest(state=state, name=name, method=method):
                        number += 1
                        found = await self.forwarded(name, method, f"/{number}", FORGED)
                        self.assertEqual(forged, found)
                        found = await self.forwarded(name, method, f"/{number}x", {})
                        self.assertEqual(NODE if NODE in forged else "", found)
        self.assertEqual(2 * len(self.expected), len(self.intake.seen))


class WithoutByDefault(ByDefault):
    options = {"forwarded_for": False}
    expected = {
        "default": "203.0.113.66",
        "yes": f"203.0.113.66, {NODE}",
        "no": "203.0.113.66",
    }
