"""What a service manager sees of the server: notices on its socket, and sockets it hands over.

STARLING names the binary (default build/release/starling).
"""

import http.client
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from program import BINARY, PATIENCE, free_port


class Manager:
    """Listens for notices, as systemd does, and starts the server with sockets of its own."""

    def __init__(self, case, address):
        self.notices = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.address = address
        self.process = None
        case.addCleanup(self.end)

    def start(self, *options, sockets=(), names="", environment=None, config=None):
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("STARLING", "LISTEN_", "WATCHDOG_"))}
        clean.update({"NOTIFY_SOCKET": self.address, **(environment or {})})
        arguments = [part for option in ("workers.count=2", "drain.time=200ms", *options)
                     for part in ("-o", option)]
        command = [BINARY, "serve", *(("-c", config) if config else ()), *arguments]
        if sockets:
            clean.update({"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names})
            # Sockets stand from descriptor 3 on, and LISTEN_PID is the server's own.
            moves = " ".join(f"{10 + i}<&{fd.fileno()}" for i, fd in enumerate(sockets))
            places = " ".join(f"{3 + i}<&{10 + i} {10 + i}<&-" for i in range(len(sockets)))
            command = ["bash", "-c", f'exec {moves}; exec {places}; '
                       'LISTEN_PID=$$ exec "$@"', "bash", *command]
        self.process = subprocess.Popen(command, env=clean, stderr=subprocess.PIPE, text=True,
                                        pass_fds=[fd.fileno() for fd in sockets])

    def hear(self, pattern):
        """The next notice that fits; those before it are passed over."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.socket], [], [], 0.1)
            if ready:
                notice = self.socket.recv(4096).decode()
                if re.search(pattern, notice, re.MULTILINE):
                    return notice
            elif self.process.poll() is not None:
                break
        raise AssertionError(f"waited in vain for {pattern}")

    def ask(self, connection, path="/health"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=PATIENCE)
        assert not re.search(r"Sanitizer|runtime error:|check failed", errors), errors
        assert self.process.returncode == 0, errors
        return errors

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stderr.close()
        self.socket.close()


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="starling-service-")
        self.addCleanup(shutil.rmtree, self.folder)

    def manager(self):
        return Manager(self, f"{self.folder}/notify")

    def listener(self, host="127.0.0.1"):
        listener = socket.create_server((host, 0))
        self.addCleanup(listener.close)
        return listener

    def test_ready_reload_and_stop_are_told(self):
        manager = self.manager()
        port = free_port()
        manager.start(f"listen.http=127.0.0.1:{port}")
        self.assertIn("STATUS=Serving", manager.hear("^READY=1$"))
        self.assertEqual(manager.ask(http.client.HTTPConnection("127.0.0.1", port)), 200)
        for _ in range(5):
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            manager.process.send_signal(signal.SIGHUP)
            notice = manager.hear("^RELOADING=1$")
            told = re.search(r"(?m)^MONOTONIC_USEC=(\d+)$", notice)
            # An earlier one is of another reload, to who waits for this one.
            self.assertGreaterEqual(int(told.group(1)), before)
            manager.hear("^READY=1$")
        manager.process.send_signal(signal.SIGTERM)
        self.assertRegex(manager.hear("^STOPPING=1$"), r"(?m)^EXTEND_TIMEOUT_USEC=\d+$")
        manager.process.communicate(timeout=PATIENCE)
        self.assertEqual(manager.process.returncode, 0)

    def test_an_abstract_socket_is_told_too(self):
        manager = Manager(self, f"@starling-{os.getpid()}")
        manager.start(f"listen.http=127.0.0.1:{free_port()}")
        manager.hear("^READY=1$")
        manager.stop()

    def test_a_bad_notify_socket_is_no_reason_not_to_serve(self):
        manager = self.manager()
        port = free_port()
        manager.start(f"listen.http=127.0.0.1:{port}",
                      environment={"NOTIFY_SOCKET": "vsock:2:1"})
        line = manager.process.stderr.readline()
        self.assertIn("cannot tell the service manager", line)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                manager.ask(http.client.HTTPConnection("127.0.0.1", port))
                break
            except ConnectionError:
                time.sleep(0.01)
        manager.stop()

    def test_the_watchdog_is_fed_while_workers_turn(self):
        manager = self.manager()
        manager.start(f"listen.http=127.0.0.1:{free_port()}",
                      environment={"WATCHDOG_USEC": "400000"})
        for _ in range(5):
            manager.hear("^WATCHDOG=1$")
        manager.stop()

    def test_the_watchdog_of_another_process_is_not(self):
        manager = self.manager()
        manager.start(f"listen.http=127.0.0.1:{free_port()}",
                      environment={"WATCHDOG_USEC": "40000", "WATCHDOG_PID": "1"})
        manager.hear("^READY=1$")
        manager.process.send_signal(signal.SIGTERM)
        notices = []
        manager.process.communicate(timeout=PATIENCE)
        while select.select([manager.socket], [], [], 0)[0]:
            notices.append(manager.socket.recv(4096).decode())
        self.assertTrue(any("STOPPING=1" in notice for notice in notices), notices)
        self.assertFalse(any("WATCHDOG=1" in notice for notice in notices), notices)

    def test_a_socket_named_http_takes_the_place_of_listen_http(self):
        manager = self.manager()
        listener, port = self.listener(), free_port()
        manager.start(f"listen.http=127.0.0.1:{port}", sockets=[listener], names="http")
        manager.hear("^READY=1$")
        handed = listener.getsockname()[1]
        for _ in range(20):
            self.assertEqual(manager.ask(http.client.HTTPConnection("127.0.0.1", handed)), 200)
        with self.assertRaises(ConnectionRefusedError):
            manager.ask(http.client.HTTPConnection("127.0.0.1", port))
        manager.stop()

    def test_a_unix_socket_is_left_in_its_place(self):
        manager = self.manager()
        path = f"{self.folder}/http.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            manager.start(sockets=[listener], names="http")
            manager.hear("^READY=1$")
            client = http.client.HTTPConnection("localhost")
            client.sock = socket.socket(socket.AF_UNIX)
            client.sock.connect(path)
            self.assertEqual(manager.ask(client), 200)
            manager.stop()
        self.assertTrue(os.path.exists(path))

    def refused(self, message, *options, **more):
        manager = self.manager()
        manager.start(*options, **more)
        _, errors = manager.process.communicate(timeout=PATIENCE)
        self.assertEqual(manager.process.returncode, 2, errors)
        self.assertRegex(errors, message)
        self.assertEqual(errors.count("\n"), 1)

    def test_a_socket_of_another_name_is_refused(self):
        self.refused("must be http or https, not 'starling.socket'",
                     sockets=[self.listener()], names="starling.socket")

    def test_a_socket_named_https_needs_a_certificate(self):
        self.refused("tls.cert and tls.key are needed for the socket 'https'",
                     "listen.https=", sockets=[self.listener()], names="https")

    def test_a_socket_that_others_reach_needs_keys(self):
        self.refused(r"without a key in \[auth\]",
                     sockets=[self.listener("0.0.0.0")], names="http")

    def keeps_what_it_needs(self, message, section, host, name):
        """It starts with `section` in its configuration, and is to go on without."""
        manager, path = self.manager(), f"{self.folder}/starling.conf"
        with open(path, "w", encoding="ascii") as config:
            config.write(section)
        listener = self.listener(host)
        manager.start(f"listen.http=127.0.0.1:{free_port()}", sockets=[listener], names=name,
                      config=path)
        manager.hear("^READY=1$")
        with open(path, "w", encoding="ascii"):
            pass
        manager.process.send_signal(signal.SIGHUP)
        manager.hear("^RELOADING=1$")
        manager.hear("^READY=1$")
        port = listener.getsockname()[1]
        if name == "https":
            connection = http.client.HTTPSConnection(
                "127.0.0.1", port, context=ssl._create_unverified_context())
            self.assertEqual(manager.ask(connection), 200)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            self.assertEqual(manager.ask(connection, "/api/stats"), 401)
        self.assertRegex(manager.stop(), f"stays as it was: {message}")

    def test_keys_that_a_socket_needs_do_not_go_while_it_serves(self):
        self.keeps_what_it_needs(r"without a key in \[auth\] others must not reach the socket 'http'",
                                 "[auth]\napi_key = one-that-nobody-guesses\n", "0.0.0.0", "http")

    def test_nor_does_its_certificate(self):
        pem = f"{self.folder}/pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                        "-keyout", f"{pem}.key", "-out", f"{pem}.crt"],
                       check=True, capture_output=True)
        self.keeps_what_it_needs("tls.cert and tls.key are needed for the socket 'https'",
                                 f"[tls]\ncert = {pem}.crt\nkey = {pem}.key\n", "127.0.0.1",
                                 "https")

    def test_what_is_no_listening_socket_is_refused(self):
        manager = self.manager()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            manager.start(sockets=[datagrams], names="http")
            _, errors = manager.process.communicate(timeout=PATIENCE)
        self.assertEqual(manager.process.returncode, 1, errors)
        self.assertIn("cannot take over the socket http", errors)


if __name__ == "__main__":
    unittest.main()
