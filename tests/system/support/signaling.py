# SPDX-License-Identifier: Apache-2.0
"""A signaling endpoint for tests (docs/wire/signaling.md), on a thread.

  signaling.py ADDRESS     in a process of its own; prints its URL, then each key that publishes
"""
import base64
import hashlib
import socket
import struct
import sys
import threading

SALT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Endpoint:
    """Keeps what is published; lies in one way if told to."""

    def __init__(self, address="127.0.0.1"):
        self.records, self.accepted = {}, 0
        self.spoils = False  # a byte of each record that is given out
        self.socket = socket.create_server((address, 0))
        self.url = f"ws://{address}:{self.socket.getsockname()[1]}/signal"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
            accept = base64.b64encode(
                hashlib.sha1((fields["Sec-WebSocket-Key"] + SALT).encode()).digest()).decode()
            connection.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n"
                f"Sec-WebSocket-Protocol: {fields['Sec-WebSocket-Protocol']}\r\n\r\n".encode())
            connection.sendall(b"\x89\x02hi")  # a ping that has to be answered
            while True:
                opcode, message = self.receive(connection)
                if opcode == 2:
                    answer = self.answer(message)
                    connection.sendall(b"\x82" + (bytes([len(answer)]) if len(answer) < 126 else
                                                  struct.pack("!BH", 126, len(answer))) + answer)
                elif opcode is None:
                    return

    @staticmethod
    def receive(connection):
        def exactly(count):
            data = b""
            while len(data) < count:
                more = connection.recv(count - len(data))
                if not more:
                    raise ConnectionError
                data += more
            return data

        try:
            first, second = exactly(2)
            length = second & 127
            if length == 126:
                length, = struct.unpack("!H", exactly(2))
            mask = exactly(4)
            payload = exactly(length)
        except ConnectionError:
            return None, b""
        return first & 15, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    def answer(self, message):
        kind, key, body = message[0], message[1:33], message[33:]
        if kind == 2:
            self.records[key] = body
            return b"\x02" + key
        if key not in self.records:
            return b"\x03" + key
        body = self.records[key]
        if self.spoils:
            body = bytes([body[0] ^ 1]) + body[1:]
        return b"\x01" + key + body

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # or accept() would still take one
        self.socket.close()


class ToldEndpoint(Endpoint):
    def answer(self, message):
        if message[0] == 2:
            print(message[1:33].hex(), flush=True)
        return super().answer(message)


if __name__ == "__main__":
    print(ToldEndpoint(sys.argv[1]).url, flush=True)
    threading.Event().wait()
