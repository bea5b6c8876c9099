"""An endpoint of a webhook on this machine, which does as it is told."""

import http.server
import threading
import time
from dataclasses import dataclass, field

PRIVATE = ["http://127.0.0.1:*"]


@dataclass
class Received:
    """One request as it came."""

    path: str
    headers: dict
    body: bytes


@dataclass
class Sink:
    """Answers each request with `status` after `delay` seconds."""

    status: int = 200
    answer: bytes = b"thanks"
    delay: float = 0.0
    received: list = field(default_factory=list)

    def __post_init__(self):
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                names = {key.lower(): value for key, value in self.headers.items()}
                sink.received.append(Received(self.path, names, body))
                time.sleep(sink.delay)
                self.send_response(sink.status)
                self.send_header("Content-Length", str(len(sink.answer)))
                self.end_headers()
                self.wfile.write(sink.answer)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
