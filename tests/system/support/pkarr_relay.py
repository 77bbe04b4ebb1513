# SPDX-License-Identifier: Apache-2.0
"""A relay of address records for tests: what is put under a key is got there.

  pkarr_relay.py ADDRESS     prints its URL
"""
import http.server
import sys

RECORDS = {}


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", "application/pkarr.org/relays#payload")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = RECORDS.get(self.path)
        self.answer(200 if body else 404, body or b"")

    def do_PUT(self):
        RECORDS[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(204)

    def log_message(self, *words):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer((sys.argv[1], 0), Handler)
    print(f"http://{sys.argv[1]}:{server.server_port}", flush=True)
    server.serve_forever()
