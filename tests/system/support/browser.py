# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, driven by the Chrome DevTools Protocol."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from lab import Skip, check

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
SETUP = pathlib.Path(__file__).resolve().parents[3] / "tools" / "setup"
DEADLINE_S = 30


def program_here():
    """One that is installed, or the one that tools/setup fetched; None: there is neither."""
    where = subprocess.run([SETUP, "--where", "browser"], capture_output=True, text=True, check=True).stdout.strip()
    return next(filter(None, map(shutil.which, (*PROGRAMS, f"{where}/chromium"))), None)


class Browser:
    """One page. dialogs: texts of alert() and the like, which no page of the gateway may open."""

    def __init__(self):
        program = program_here()
        if not program:
            raise Skip("machine: there is no browser (tools/setup --browser fetches one)")
        try:
            from websockets.sync.client import connect
        except ImportError as error:
            raise Skip("python3-websockets is not installed") from error
        self.dir = tempfile.TemporaryDirectory(prefix="weft-browser-", ignore_cleanup_errors=True)
        words = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-extensions",
                 "--remote-debugging-port=0", f"--user-data-dir={self.dir.name}", "about:blank"]
        if os.geteuid() == 0:
            words.insert(0, "--no-sandbox")
        self.process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.dir.name})
        self.socket = connect(self.page_url(), max_size=None, open_timeout=DEADLINE_S)
        self.number, self.dialogs, self.loads = 0, [], 0
        for domain in ("Page", "Runtime"):
            self.ask(f"{domain}.enable")

    def page_url(self):
        port_file = os.path.join(self.dir.name, "DevToolsActivePort")
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Skip(f"machine: the browser does not start here: status {self.process.returncode}")
            try:
                with open(port_file, encoding="utf-8") as lines:
                    port = lines.readline().strip()
                found = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}/json/list"], capture_output=True,
                                       check=True)
                for target in json.loads(found.stdout):
                    if target["type"] == "page":
                        return target["webSocketDebuggerUrl"]
            except (OSError, subprocess.CalledProcessError):
                pass
            time.sleep(0.1)
        raise Skip("machine: the browser does not start here in time")

    def hear(self, timeout):
        message = json.loads(self.socket.recv(timeout=timeout))
        if message.get("method") == "Page.javascriptDialogOpening":
            self.dialogs.append(message["params"]["message"])
            self.number += 1
            self.socket.send(json.dumps({"id": self.number, "method": "Page.handleJavaScriptDialog",
                                         "params": {"accept": True}}))
        if message.get("method") == "Page.loadEventFired":
            self.loads += 1
        return message

    def ask(self, method, **params):
        self.number += 1
        number = self.number
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = self.hear(DEADLINE_S)
            if message.get("id") == number:
                check("error" not in message, f"{method}: {message}")
                return message["result"]

    def value(self, expression):
        """What JavaScript says of the page; the page itself runs none."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        check("exceptionDetails" not in answer, f"{expression}: {answer}")
        return answer["result"].get("value")

    def wait_load(self, before):
        deadline = time.monotonic() + DEADLINE_S
        while self.loads == before:
            self.hear(max(deadline - time.monotonic(), 0.01))

    def open(self, url):
        before = self.loads
        self.ask("Page.navigate", url=url)
        self.wait_load(before)

    def fill(self, **values):
        for name, value in values.items():
            self.value(f"document.getElementById({json.dumps('f-' + name)}).value = {json.dumps(value)}")

    def send(self, form):
        """Presses the button of the form that a selector finds, and waits for the page behind it."""
        before = self.loads
        self.value(f"document.querySelector({json.dumps(form + ' button')}).click()")
        self.wait_load(before)

    def path(self):
        return self.value("location.pathname + location.search")

    def text(self):
        return self.value("document.body.innerText")

    def close(self):
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.dir.cleanup()
