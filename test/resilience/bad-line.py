"""Runs a program in a network whose line is bad: bad-line.py PROGRAM ARGUMENT..., as root of a network namespace of its own.

What is sent to 10.77.0.2 comes back to 10.77.0.1 from there, 30 ± 15 ms later, or in 3 of 100 cases never. So a server that
listens on the one is reached over the line at the other. Swapping the two addresses changes no checksum.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

DELAY, SPREAD, LOSS = 0.03, 0.015, 0.03
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

line = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(line, TUNSETIFF, struct.pack("16sH", b"line", IFF_TUN | IFF_NO_PI))
for command in ("link set lo up", "addr add 10.77.0.1/24 dev line", "link set line up mtu 1500"):
    subprocess.run(["ip", *command.split()], check=True)

program = subprocess.Popen(sys.argv[1:], close_fds=False)  # tap talks over one of them
held: list[tuple[float, bytes]] = []  # by when they are due
while program.poll() is None:
    wait = held[0][0] - time.monotonic() if held else 0.1
    if select.select([line], [], [], min(max(wait, 0), 0.1))[0]:
        packet = os.read(line, 65536)
        if packet[0] >> 4 == 4 and random.random() >= LOSS:
            swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
            heapq.heappush(held, (time.monotonic() + random.uniform(DELAY - SPREAD, DELAY + SPREAD), swapped))
    while held and held[0][0] <= time.monotonic():
        os.write(line, heapq.heappop(held)[1])
sys.exit(program.returncode)
