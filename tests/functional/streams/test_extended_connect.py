"""WebSocket over HTTP/2 (RFC 8441), as browsers use it: h2 is the client, websockets the guest."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.events
import h2.settings
from websockets.frames import Frame, Opcode

from tests.functional.streams.rig import REACHABLE, StreamCase

PATIENCE = 30.0


class Client:
    """One connection with HTTP/2, and WebSockets on its streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.protocol = h2.connection.H2Connection(h2.config.H2Configuration())
        self.status: dict[int, str] = {}
        self.data: dict[int, bytes] = {}
        self._settled = asyncio.Event()
        self.protocol.initiate_connection()
        self._flush()
        self.task = asyncio.create_task(self._read())

    def _flush(self) -> None:
        self._writer.write(self.protocol.data_to_send())

    async def _read(self) -> None:
        while data := await self._reader.read(65536):
            for event in self.protocol.receive_data(data):
                if isinstance(event, h2.events.RemoteSettingsChanged):
                    self._settled.set()
                elif isinstance(event, h2.events.ResponseReceived):
                    headers = dict(event.headers)
                    self.status[event.stream_id] = headers[b":status"].decode()
                elif isinstance(event, h2.events.DataReceived):
                    before = self.data.get(event.stream_id, b"")
                    self.data[event.stream_id] = before + event.data
            self._flush()

    async def offers(self) -> bool:
        """Whether the edge takes WebSockets on this connection."""
        await asyncio.wait_for(self._settled.wait(), PATIENCE)
        return bool(self.protocol.remote_settings.enable_connect_protocol)

    def begin(self, path: str) -> int:
        """Begin a WebSocket."""
        stream = self.protocol.get_next_available_stream_id()
        head = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": path}
        head |= {":authority": "socket.example", "sec-websocket-version": "13"}
        self.protocol.send_headers(stream, list(head.items()))
        self._flush()
        return stream

    async def echoed(self, stream: int, text: bytes) -> bytes:
        """Send a message, and return what comes back."""
        async with asyncio.timeout(PATIENCE):
            while stream not in self.status:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if self.status[stream] != "200":
                raise AssertionError(self.status[stream])
            self.protocol.send_data(stream, Frame(Opcode.TEXT, text).serialize(mask=True))
            self._flush()
            expected = Frame(Opcode.TEXT, text).serialize(mask=False)
            while len(self.data.get(stream, b"")) < len(expected):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.data.pop(stream)[2:]

    def close(self) -> None:
        self.task.cancel()
        self._writer.close()


class ExtendedConnect(StreamCase):
    kind = "websocket"

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.client = Client(*await asyncio.open_connection(*self.edge))
        self.addCleanup(self.client.close)
        self.assertTrue(await self.client.offers())

    async def test_in_every_phase(self) -> None:
        live = self.client.begin("/live")
        self.assertEqual(b"a", await self.client.echoed(live, b"a"))
        for state in REACHABLE:
            with self.subTest(state):
                await self.flip(state)
                stream = self.client.begin("/each")
                self.assertEqual(b"x", await self.client.echoed(stream, b"x"))
                self.assertEqual(b"b", await self.client.echoed(live, b"b"))

    async def test_in_the_silence_it_is_held(self) -> None:
        live = self.client.begin("/live")
        self.assertEqual(b"a", await self.client.echoed(live, b"a"))
        async with self.silence():
            stream = self.client.begin("/late")
            await self.holding(1)
            self.assertEqual(0, self.begun("/late"))
        self.assertEqual(b"x", await self.client.echoed(stream, b"x"))
        self.assertEqual(b"b", await self.client.echoed(live, b"b"))
        self.assertEqual((1, 1), (self.begun("/late"), self.begun("/live")))
