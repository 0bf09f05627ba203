"""A web server for tests, which answers as it is told and remembers what it was sent."""

import dataclasses
import http.server
import threading
from typing import Self


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What was posted."""

    path: str
    headers: dict[str, str]
    body: bytes


class Hook:
    """Answers with each status of `answers` in turn, then with 204; (status, headers) or status."""

    def __init__(self, *answers: int | tuple[int, dict[str, str]]) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                hook.requests.append(Request(self.path, headers, body))
                answer = hook.answers.pop(0) if hook.answers else 204
                status, more = (answer, {}) if isinstance(answer, int) else answer
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        return Handler
