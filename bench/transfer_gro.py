# SPDX-License-Identifier: Apache-2.0
"""transfer_gro.py INTERFACE: ethtool -K INTERFACE gro on, without ethtool.

Every NIC's driver has it on; a veth has it off, and attaching XDP to it
does not turn it on in every kernel. Then the stack sees single packets."""
import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL, ETHTOOL_SGRO = 0x8946, 0x2C
value = array.array("I", [ETHTOOL_SGRO, 1])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, SIOCETHTOOL,
                struct.pack("16sP16x", sys.argv[1].encode(), value.buffer_info()[0]))
