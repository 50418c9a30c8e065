"""A switch between the nodes of namespaces.mjs: it delays, loses, and lets through in one direction
only, as it is told; and it resets connections, as a firewall does that has forgotten them.

Each port is a device of kind TAP, which can be moved into the namespace of a node. What it is told
comes as lines of JSON; each is answered by one, once it holds:

    {"port": NAME}                               a new port, with a device of that name; counted from 0
    {"from": [PORT, ...], "to": [PORT, ...], "cut": false, "loss": SHARE, "delay": S, "jitter": S}
                                                 how packets between these fare from here on; the delay
                                                 is that, more or less the jitter, for each on its own
    {"reset": true}                              both ends of each connection get a RST, as from the other

Each answer has how many packets were {"lost"} and {"late"}, and how many RST were {"sent"}, in all.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x2, 0x1000
FRAME_BYTES_MAX = 2048
FRAMES_AT_ONCE = 64  # of one port, before it is another one's turn
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

ports = []  # descriptors
homes = {}  # MAC -> port
rules = {}  # (from, to) -> what was told; none: all goes through at once
under_way = []  # a heap of (due, number, port, frame)
next_seqs = {}  # (addresses, ports) of a direction -> (port it goes to, head of its frames, SEQ that is next)
figures = {"lost": 0, "late": 0, "sent": 0}
number = 0


def open_port(name):
    port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    ports.append(port)


def write(to, frame):
    try:
        os.write(ports[to], frame)
    except OSError:
        figures["lost"] += 1  # its device is down, or full


def remember(to, frame):
    """What is needed to speak for the one who sent this to that port."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return
    tcp = 14 + 4 * (frame[14] & 15)
    flow, flags = frame[26:34] + frame[tcp : tcp + 4], frame[tcp + 13]
    if flags & RST:
        next_seqs.pop(flow, None)
        return
    data = int.from_bytes(frame[16:18], "big") - (tcp - 14) - 4 * (frame[tcp + 12] >> 4)
    seq = int.from_bytes(frame[tcp + 4 : tcp + 8], "big") + data + bool(flags & SYN) + bool(flags & FIN)
    known = next_seqs.get(flow)
    if known is None or flags & SYN or (seq - known[2]) % 2**32 < 2**31:  # else it was said again
        next_seqs[flow] = (to, frame[:14], seq % 2**32)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def reset_all():
    for flow, (to, head, seq) in next_seqs.items():
        addresses = flow[:8]
        ip = struct.pack("!BxHxxxxBBxx", 0x45, 40, 64, 6) + addresses
        tcp = flow[8:] + struct.pack("!IIBBxxxxxx", seq, 0, 0x50, RST)
        sum_of_tcp = checksum(addresses + struct.pack("!HH", 6, 20) + tcp)
        tcp = tcp[:16] + struct.pack("!H", sum_of_tcp) + tcp[18:]
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        write(to, head + ip + tcp)
        figures["sent"] += 1
    next_seqs.clear()


def carry(source, to, frame):
    global number
    rule = rules.get((source, to))
    if rule and (rule.get("cut") or random.random() < rule.get("loss", 0)):
        figures["lost"] += 1
        return
    if rule and "delay" in rule:
        jitter = rule.get("jitter", 0)
        due = time.monotonic() + rule["delay"] + random.uniform(-jitter, jitter)
        number += 1
        figures["late"] += 1
        heapq.heappush(under_way, (due, number, to, frame))
        return
    remember(to, frame)
    write(to, frame)


def take(source):
    for _ in range(FRAMES_AT_ONCE):
        try:
            frame = os.read(ports[source], FRAME_BYTES_MAX)
        except OSError:
            return
        homes[frame[6:12]] = source
        to = homes.get(frame[:6])
        for each in range(len(ports)) if to is None else (to,):
            if each != source:
                carry(source, each, frame)


def deliver():
    """What is due; the seconds until more is."""
    while under_way:
        wait = under_way[0][0] - time.monotonic()
        if wait > 0:
            return wait
        _, _, to, frame = heapq.heappop(under_way)
        remember(to, frame)
        write(to, frame)
    return None


def do(told):
    if "port" in told:
        open_port(told["port"])
    elif "reset" in told:
        reset_all()
    else:
        for source in told["from"]:
            rules.update({(source, to): told for to in told["to"]})


def main():
    text = b""
    while True:
        ready, _, _ = select.select([0, *ports], [], [], deliver())
        for descriptor in ready:
            if descriptor != 0:
                take(ports.index(descriptor))
                continue
            got = os.read(0, 65536)
            if not got:
                return
            *lines, text = (text + got).split(b"\n")
            for line in lines:
                do(json.loads(line))
                print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    sys.exit(main())
