"""A network link with a delay, for kernels without netem. A packet to the far address of a tun device comes back
later, as if it came from the far address. TCP handshakes are delayed like all other packets.

`link.py NEAR FAR MILLISECONDS` creates the device and serves it until it is killed.
"""

import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def main():
    near, far, delay = sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"bench0", IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "address", "add", near, "peer", far, "dev", "bench0"], check=True)
    subprocess.run(["ip", "link", "set", "bench0", "up"], check=True)
    print("ready", flush=True)
    waiting = collections.deque()
    while True:
        wait = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([tun], [], [], wait)[0]:
            waiting.append((time.monotonic() + delay, os.read(tun, 65536)))
        while waiting and waiting[0][0] <= time.monotonic():
            packet = waiting.popleft()[1]
            # Swapped addresses do not change any checksum. Other packets than IPv4 are dropped, as the addresses are
            # at another place in them.
            if packet[0] >> 4 == 4:
                os.write(tun, packet[:12] + packet[16:20] + packet[12:16] + packet[20:])


main()
