"""Starts servers and the load generator, each on a CPU of its own, and keeps what was found.

The server runs on CPU 0 and the load on CPU 1, so that neither takes the other's time. Each
measurement is one line of JSON in a results file, as bench/load and bench/floor write them:
whoever adds a measurement appends lines of the same kind.
"""
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# Who is told to end stops what it has started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVER_CPU, LOAD_CPU = 0, 1
PATIENCE = 30  # seconds for a server to start or to end


def fail(message):
    sys.exit(f"bench: {message}")


def program(build, name):
    path = os.path.join(ROOT, build, name)
    if not os.path.exists(path):
        fail(f"{path} is not there: make bench-programs builds it")
    return path


def on_cpu(cpu, command):
    if (os.cpu_count() or 1) < 2:
        return command
    return ["taskset", "-c", str(cpu), *command]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def allow_files():
    """As many descriptors as may be had, for all that is started from here."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Process:
    """A server of any kind: a command that listens on a port of 127.0.0.1."""

    def __init__(self, command, port, cpu=SERVER_CPU):
        self.port = port
        self.log = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen(
            on_cpu(cpu, command), stdout=self.log, stderr=self.log, cwd=ROOT)
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                fail(f"{command[0]} did not start:\n{self.log.read()}")
            time.sleep(0.05)

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def pids(self):
        """The process and its children: some servers have workers."""
        found = [self.child.pid]
        for pid in found:
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as children:
                    found += [int(child) for child in children.read().split()]
            except OSError:
                pass
        return found

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Starling(Process):
    """The server of this tree; `options` are settings as after -o."""

    def __init__(self, build="build/release", workers=1, options=()):
        port = free_port()
        settings = [f"listen.http=127.0.0.1:{port}", f"workers.count={workers}",
                    "drain.time=0s", *options]
        command = [program(build, "starling"), "serve"]
        for setting in settings:
            command += ["-o", setting]
        # Two workers are for both CPUs, and pin themselves.
        super().__init__(command, port, cpu=SERVER_CPU if workers == 1 else "0-1")

    def stats(self):
        with socket.create_connection(("127.0.0.1", self.port)) as asked:
            asked.sendall(b"GET /api/stats HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: asked.recv(65536), b""))
        return json.loads(answer.split(b"\r\n\r\n", 1)[1])


class Results:
    """Lines of JSON; in a file, where one is named."""

    def __init__(self, path=None):
        self.directory = tempfile.mkdtemp(prefix="starling-bench-")
        self.path = path or os.path.join(self.directory, "results.jsonl")
        self.seen = self.count()

    def count(self):
        return len(self.lines())

    def lines(self):
        try:
            with open(self.path) as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []

    def append(self, found):
        """A line that a script has found itself."""
        with open(self.path, "a") as file:
            file.write(json.dumps(found) + "\n")

    def run(self, command):
        """Runs what appends a line; that line."""
        before = self.count()
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, cwd=ROOT)
        if ended.returncode != 0 or self.count() != before + 1:
            fail(f"{' '.join(command)}:\n{ended.stdout}")
        return self.lines()[-1]

    def load(self, server, mode, build="build/release", **options):
        """One run of bench/load; options as its own, with _ for -."""
        return self.run(on_cpu(LOAD_CPU, self.load_command(server, mode, build, options)))

    def load_first(self, server, mode, build="build/release", **options):
        """The same on a CPU that others use: woken at once, where that is allowed (to root)."""
        command = self.load_command(server, mode, build, options)
        first = ["chrt", "-f", "50"] if os.geteuid() == 0 else []
        return self.run(on_cpu(LOAD_CPU, [*first, *command]))

    def load_beside(self, server, mode, build="build/release", **options):
        """One that goes on meanwhile: a process, to be waited for. Its line stays its own."""
        own = Results(os.path.join(self.directory, "beside.jsonl"))
        return subprocess.Popen(on_cpu(LOAD_CPU, own.load_command(server, mode, build, options)),
                                stdout=subprocess.DEVNULL, cwd=ROOT)

    def load_command(self, server, mode, build, options):
        command = [program(build, "bench/load"), mode, "--json", self.path,
                   "--pid", ",".join(map(str, server.pids))]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        return [*command, f"127.0.0.1:{server.port}"]

    def floor(self, build="build/release", **options):
        command = [program(build, "bench/floor"), "--json", self.path,
                   "--send-cpu", str(SERVER_CPU), "--read-cpu", str(LOAD_CPU)]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        return self.run(command)

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def figure(value):
    """Three significant digits, and thousands apart."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def print_table(head, rows):
    cells = [head] + [[figure(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
