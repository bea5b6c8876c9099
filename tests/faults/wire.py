"""HTTP over a plain socket: quick, and plain about what went wrong and when."""

import json
import socket


class Lost(Exception):
    """The connection failed; whether the request was carried out is not known."""


class Wire:
    """One keep-alive connection to a lane."""

    def __init__(self, key: str, timeout: float = 30.0) -> None:
        self.key = key
        self.raw = False  # answers are text, not JSON
        self._timeout = timeout
        self._port = 0
        self._socket: socket.socket | None = None
        self._rest = b""

    def call(
        self, port: int, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict | None]:
        """Send one request; return status and document. Raises Lost."""
        sent = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"Authorization: Bearer {self.key}", f"Content-Length: {len(sent)}"]
        if sent:
            lines.append("Content-Type: application/json")
        lines += [f"{name.replace('_', '-')}: {v}" for name, v in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode() + sent
        try:
            self._connect(port)
            self._socket.sendall(request)
            return self._answer()
        except (OSError, ValueError) as error:
            self.close()
            raise Lost(str(error)) from error

    def _connect(self, port: int) -> None:
        if self._socket is not None and self._port == port:
            return
        self.close()
        where = ("127.0.0.1", port)
        self._socket = socket.create_connection(where, timeout=self._timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port, self._rest = port, b""

    def _answer(self) -> tuple[int, dict | None]:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status, _, fields = head.partition(b"\r\n")
        length = 0
        for line in fields.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        code = int(status.split()[1])
        if self.raw:
            return code, body.decode()
        return code, json.loads(body) if body else None

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError("closed by the server")
        self._rest += data

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
