"""What OpenAI's clients send and expect: requests, usage, chunks, errors.

Pure: no Django, no clock, no I/O. Works on decoded JSON. What is not named here
passes through untouched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway import tokens

CHAT: Final = "chat"
EMBEDDING: Final = "embedding"
MODEL_MAX: Final = 200
USER_MAX: Final = 256
MOST_CHOICES: Final = 128
DEPTH_MAX: Final = 32
MOST_TOKENS: Final = 100_000_000
INVALID: Final = "invalid_request_error"


class Refusal(Exception):
    """An answer in OpenAI's shape that is not a success.

    `seconds` is how long to wait, `retry` whether the official clients may try again
    by themselves (None leaves it to the status).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        code: str | None = None,
        param: str | None = None,
        seconds: int | None = None,
        retry: bool | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.seconds = seconds
        self.retry = retry
        self.headers = list(headers)

    @property
    def outcome(self) -> str:
        """What it is counted as: its code, else its status."""
        return self.code or str(self.status)

    def body(self) -> dict[str, Any]:
        """Return the error as a document."""
        return error_body(self.message, self.kind, self.code, self.param)


def error_body(
    message: str, kind: str, code: str | None, param: str | None = None
) -> dict[str, Any]:
    """Return OpenAI's error document."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def invalid(param: str | None, message: str) -> Refusal:
    """Return the refusal of a body that is not what the route takes."""
    return Refusal(400, message, param=param)


@dataclass(frozen=True, slots=True)
class Usage:
    """What an upstream says a call took."""

    input_tokens: int
    output_tokens: int

    def document(self) -> dict[str, int]:
        """Return it as chat completions show it."""
        read, written = self.input_tokens, self.output_tokens
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


@dataclass(slots=True)
class Asked:
    """A request that was checked. `most_output` is None if the body bounds nothing."""

    kind: str
    body: dict[str, Any]
    model: str
    stream: bool = False
    wants_usage: bool = False
    user: str | None = None
    input_tokens: int = 0
    most_output: int | None = None


def chat(body: Any) -> Asked:
    """Check a chat completion's body. Raises Refusal."""
    asked = _begun(CHAT, body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "'messages' must be a list of at least one message.")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            where = f"messages[{index}]"
            raise invalid(where, f"'{where}' must be an object with a 'role'.")
        if not isinstance(message.get("content"), str | list | None):
            where = f"messages[{index}].content"
            raise invalid(where, f"'{where}' must be a text or a list of parts.")
    asked.stream = _flag(body, "stream")
    asked.wants_usage = _wants_usage(body, stream=asked.stream)
    choices = _whole(body, "n", least=1, most=MOST_CHOICES) or 1
    longest = _whole(body, "max_completion_tokens", least=1, most=MOST_TOKENS)
    older = _whole(body, "max_tokens", least=1, most=MOST_TOKENS)
    if longest is None:
        longest = older
    asked.most_output = None if longest is None else longest * choices
    asked.input_tokens = tokens.of_messages(messages)
    for name in ("tools", "functions", "response_format"):
        asked.input_tokens += tokens.of_value(body.get(name))
    return asked


def embedding(body: Any) -> Asked:
    """Check an embedding's body. Raises Refusal."""
    asked = _begun(EMBEDDING, body)
    given = body.get("input")
    if isinstance(given, str) and given:
        asked.input_tokens = tokens.estimate(given)
    elif isinstance(given, list) and given:
        asked.input_tokens = sum(_embedded(one) for one in given)
    else:
        raise invalid("input", "'input' must be a text or a list that is not empty.")
    asked.most_output = 0
    return asked


def _embedded(one: Any) -> int:
    if isinstance(one, str):
        return tokens.estimate(one)
    if isinstance(one, int) and not isinstance(one, bool):
        return 1
    if isinstance(one, list) and all(isinstance(token, int) for token in one):
        return len(one)
    raise invalid("input", "'input' must hold texts, or lists of tokens.")


def _begun(kind: str, body: Any) -> Asked:
    if not isinstance(body, dict):
        raise invalid(None, "The body must be a JSON object.")
    model = _text(body, "model", MODEL_MAX)
    if not model:
        raise invalid("model", "You must provide a 'model'.")
    return Asked(kind, body, model, user=_text(body, "user", USER_MAX))


def _text(body: Mapping[str, Any], name: str, longest: int) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > longest:
        raise invalid(name, f"'{name}' must be a text of at most {longest} characters.")
    if not plain(value):
        raise invalid(name, f"'{name}' must not contain control characters.")
    return value


def plain(text: str) -> bool:
    """Whether a text can name something: no control characters."""
    return text.isprintable() or not any(
        ord(sign) < 32 or ord(sign) == 127 for sign in text
    )


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise invalid(name, f"'{name}' must be true or false.")


def _whole(body: Mapping[str, Any], name: str, *, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(name, f"'{name}' must be a whole number.")
    if not least <= value <= most:
        raise invalid(name, f"'{name}' must be from {least} to {most}.")
    return value


def _wants_usage(body: Mapping[str, Any], *, stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise invalid("stream_options", "'stream_options' must be an object.")
    if not stream:
        message = "'stream_options' is only allowed when 'stream' is true."
        raise invalid("stream_options", message)
    wanted = options.get("include_usage")
    if wanted is not None and not isinstance(wanted, bool):
        name = "stream_options.include_usage"
        raise invalid(name, f"'{name}' must be true or false.")
    return bool(wanted)


def forwarded(asked: Asked, body: dict[str, Any], model: str) -> dict[str, Any] | None:
    """Return the body for an upstream that calls the model by another name.

    A stream always asks for its usage. None if the body can go as it came.
    """
    options = body.get("stream_options")
    complete = not asked.stream or asked.wants_usage
    if model == body["model"] and complete:
        return None
    changed = {**body, "model": model}
    if not complete:
        changed["stream_options"] = {**(options or {}), "include_usage": True}
    return changed


def usage_in(document: Any) -> Usage | None:
    """Return the usage that an answer or a chunk carries; zero is a number."""
    said = document.get("usage") if isinstance(document, dict) else None
    if not isinstance(said, dict):
        return None
    read, written = _amount(said, "prompt_tokens"), _amount(said, "completion_tokens")
    total = _amount(said, "total_tokens")
    if read is None and total is None:
        return None
    if read is None:
        read = max(0, (total or 0) - (written or 0))
    if written is None:
        written = max(0, (total or read) - read)
    return Usage(read, written)


def _amount(said: Mapping[str, Any], name: str) -> int | None:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_TOKENS else None


def output_tokens(document: Any) -> int:
    """Return the tokens that the choices of an answer or a chunk bring, counted."""
    choices = document.get("choices") if isinstance(document, dict) else None
    total = 0
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            said = choice.get("delta") or choice.get("message")
            total += _said_tokens(said) if isinstance(said, dict) else 0
    return total


def _said_tokens(said: Mapping[str, Any]) -> int:
    total = 0
    for name in ("content", "refusal", "reasoning_content", "reasoning"):
        text = said.get(name)
        if isinstance(text, str):
            total += tokens.count(text)
    calls = said.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            for name in ("name", "arguments"):
                text = function.get(name)
                total += tokens.count(text) if isinstance(text, str) else 0
    return total


class BrokenStream(Exception):
    """What came is not a stream of events that can be passed on."""


@dataclass(slots=True)
class Events:
    """Cuts bytes into the data of server-sent events, whatever borders they come in.

    Raises BrokenStream for a line that is longer than `longest` bytes.
    """

    longest: int
    _rest: bytes = b""
    _data: list[bytes] = field(default_factory=list)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that are complete."""
        text = self._rest + chunk if self._rest else chunk
        lines = text.split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > self.longest:
            raise BrokenStream("a line is too long")
        found: list[bytes] = []
        for read in lines:
            if len(read) > self.longest:
                raise BrokenStream("a line is too long")
            line = read[:-1] if read.endswith(b"\r") else read
            if not line:
                if self._data:
                    found.append(b"\n".join(self._data))
                    self._data.clear()
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        return found

    @property
    def is_cut(self) -> bool:
        """Whether something was begun that has not ended."""
        return bool(self._rest or self._data)
