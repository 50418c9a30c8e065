"""Last answers, to clients whose sockets take little at a time.

STARLING names the binary (default build/release/starling).
"""

import asyncio
import json
import socket
import unittest
import urllib.request

from program import PATIENCE
from websockets_test import Server

def count_answers(received):
    """How many whole answers there are; fails where one is cut off."""
    count, at = 0, 0
    while at < len(received):
        end = received.index(b"\r\n\r\n", at)
        head = received[at:end].lower().split(b"\r\n")
        length = [int(line.split(b":")[1]) for line in head if line.startswith(b"content-length")]
        at = end + 4 + length[0]
        assert at <= len(received), f"answer {count} is cut off"
        count += 1
    return count


class Endings(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        asyncio.run(self.server.start())
        for _ in range(100):
            body = json.dumps({"channel": "h", "data": "x" * 10000}).encode()
            urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/api/publish", body).read()

    def tearDown(self):
        self.server.stop()

    def ask(self, count, limit, last_header, says_its_end):
        """All that comes for `count` requests of `limit` times 10 KB, over a narrow socket."""
        request = b"GET /api/channels/h/history?limit=%d HTTP/1.1\r\nHost: x\r\n" % limit
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(PATIENCE)
            client.connect(("127.0.0.1", self.server.port))
            client.sendall((request + b"\r\n") * (count - 1) + request + last_header + b"\r\n")
            if says_its_end:
                client.shutdown(socket.SHUT_WR)
            received = bytearray()  # bytes would be copied for each piece: slower than the server waits
            while piece := client.recv(65536):
                received += piece
        return bytes(received)

    def test_the_last_answer_reaches_a_slow_reader_whole(self):
        self.assertEqual(count_answers(self.ask(9, 100, b"Connection: close\r\n", False)), 9)

    def test_a_client_that_has_said_all_it_wanted_still_hears_the_answers(self):
        # Small ones: a client with little waiting for it is read from, to its end. Which of the
        # counts leaves the last answer waiting just then depends on the sockets.
        for count in range(140, 146):
            with self.subTest(count=count):
                self.assertEqual(count_answers(self.ask(count, 4, b"", True)), count)


if __name__ == "__main__":
    unittest.main(verbosity=2)
