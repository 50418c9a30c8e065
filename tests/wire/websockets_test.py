"""The websockets library of Python against the real binary: a client nobody of us wrote.

STARLING names the binary (default build/release/starling).
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import unittest

import websockets

from program import BINARY, PATIENCE, free_port


class Server:
    """The binary on a free port; stop() demands a clean end."""

    def __init__(self, *options):
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        options = [f"listen.http=127.0.0.1:{self.port}", "workers.count=2", "drain.time=1s",
                   *options]
        arguments = [part for option in options for part in ("-o", option)]
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("STARLING")}
        self.process = subprocess.Popen([BINARY, "serve", *arguments], env=environment,
                                        stderr=subprocess.PIPE, text=True)

    async def is_healthy(self):
        if self.process.poll() is not None:
            raise AssertionError(self.process.stderr.read())
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET /health HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
        except ConnectionError:
            return False
        return b" 200 " in answer

    async def start(self):
        while not await self.is_healthy():
            await asyncio.sleep(0.01)
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            _, errors = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        assert self.process.returncode == 0, errors
        assert not re.search(r"Sanitizer|runtime error:|check failed", errors), errors


class WebsocketsTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.server = await asyncio.wait_for(Server().start(), PATIENCE)
        self.addCleanup(self.server.stop)

    def connect(self, path, **options):
        return websockets.connect(self.server.url + path, open_timeout=PATIENCE, **options)

    async def hear(self, client):
        return json.loads(await asyncio.wait_for(client.recv(), PATIENCE))

    async def say(self, client, **command):
        await client.send(json.dumps(command))

    async def subscribe(self, client, channel, **more):
        self.assertEqual((await self.hear(client))["type"], "welcome")
        await self.say(client, type="subscribe", channel=channel, **more)
        answer = await self.hear(client)
        self.assertEqual(answer["type"], "subscribed")
        return answer

    async def test_text_and_binary_of_each_length_form_come_back(self):
        async with self.connect("/echo") as client:
            for size in (0, 1, 125, 126, 127, 65535, 65536):
                for message in ("é" * (size // 2), b"\xfe" * size):
                    await client.send(message)
                    self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), message)

    async def test_a_message_sent_in_pieces_comes_back_whole(self):
        async with self.connect("/echo") as client:
            await client.send(["κόσ", "", "με"])
            self.assertEqual(await asyncio.wait_for(client.recv(), PATIENCE), "κόσμε")

    async def test_compression_is_declined(self):
        async with self.connect("/echo", compression="deflate") as client:
            self.assertEqual(client.extensions, [])

    async def test_the_subprotocol_is_selected(self):
        async with self.connect("/ws", subprotocols=["other", "starling.v1"]) as client:
            self.assertEqual(client.subprotocol, "starling.v1")
        async with self.connect("/ws", subprotocols=["other"]) as client:
            self.assertIsNone(client.subprotocol)

    async def test_a_ping_is_answered(self):
        async with self.connect("/ws") as client:
            pong = await client.ping(b"are you there")
            await asyncio.wait_for(pong, PATIENCE)

    async def test_a_close_is_answered_with_its_code(self):
        client = await self.connect("/ws")
        await client.close(4321, "goodbye")
        self.assertEqual(client.close_code, 4321)

    async def test_a_message_too_large_closes_with_1009(self):
        async with self.connect("/echo") as client:
            await client.send("x" * 65537)
            with self.assertRaises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(client.recv(), PATIENCE)
            self.assertEqual(closed.exception.rcvd.code, 1009)
            self.assertEqual(closed.exception.rcvd.reason, "too_large")

    async def test_another_origin_is_refused(self):
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            await self.connect("/ws", origin="https://elsewhere.example")
        self.assertEqual(refused.exception.status_code, 403)

    async def test_fifty_clients_hear_one_order(self):
        clients = await asyncio.gather(*(self.connect("/ws") for _ in range(50)))
        await asyncio.gather(*(self.subscribe(client, "all") for client in clients))
        for number in range(20):
            await self.say(clients[number], type="publish", channel="all", data=number, echo=True)

        async def collect(client):
            heard = []
            while len(heard) < 20:
                message = await self.hear(client)
                if message["type"] == "message":
                    heard.append(message["id"])
            return heard

        orders = await asyncio.gather(*(collect(client) for client in clients))
        for order in orders:
            self.assertEqual(order, orders[0])
        await asyncio.gather(*(client.close() for client in clients))

    async def test_a_lost_connection_resumes(self):
        client = await self.connect("/ws")
        cursor = (await self.subscribe(client, "log"))["cursor"]
        client.transport.abort()
        async with self.connect("/ws") as publisher:
            await self.hear(publisher)
            for number in range(3):
                await self.say(publisher, type="publish", channel="log", data=number)
                self.assertEqual((await self.hear(publisher))["type"], "ack")
        async with self.connect("/ws") as back:
            self.assertTrue((await self.subscribe(back, "log", since=cursor))["recovered"])
            self.assertEqual([(await self.hear(back))["data"] for _ in range(3)], [0, 1, 2])


if __name__ == "__main__":
    unittest.main()
