"""Where a prompt and an answer carry text, in OpenAI's documents.

A place is named by its path, so that the chunks of a stream that continue one text are
told from those of another; a list's element goes by its `index` if it has one.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

Path = tuple[str | int, ...]

# What names things and says nothing; what is data, not text.
_NAMES: Final = frozenset(
    {"role", "type", "id", "tool_call_id", "index", "finish_reason", "format"}
)
_DATA: Final = frozenset({"image_url", "input_audio", "file", "data", "url"})
_DEEPEST: Final = 32


class Text(NamedTuple):
    """One text: `holder[name]` is it, `path` its place, `source` if it is JSON."""

    holder: Any
    name: str | int
    path: Path

    @property
    def value(self) -> str:
        """The text itself."""
        text: str = self.holder[self.name]
        return text

    @property
    def source(self) -> bool:
        """Whether the text is JSON source: a tool call's arguments."""
        return self.name == "arguments"

    def put(self, text: str) -> None:
        """Write another text in its place."""
        self.holder[self.name] = text


def of_answer(said: dict[str, Any]) -> Iterator[Text]:
    """Yield every text of a message or a delta, names of functions excepted."""
    yield from _walk(said, (), _NAMES | {"name"})


def of_prompt(body: dict[str, Any]) -> Iterator[Text]:
    """Yield every text that a request sends to a model."""
    skipped = _NAMES | _DATA | {"name"}
    for name in ("messages", "input", "prompt", "instructions"):
        if isinstance(body.get(name), str):
            yield Text(body, name, (name,))
        elif isinstance(body.get(name), list):
            yield from _walk(body[name], (name,), skipped)
    for name in ("tools", "functions"):
        if isinstance(body.get(name), list):
            yield from _descriptions(body[name], (name,))


def _walk(value: Any, path: Path, skipped: frozenset[str]) -> Iterator[Text]:
    if len(path) > _DEEPEST:
        return
    for name, place, inner in _parts(value):
        if isinstance(name, str) and name in skipped:
            continue
        if isinstance(inner, str):
            yield Text(value, name, (*path, place))
        else:
            yield from _walk(inner, (*path, place), skipped)


def _descriptions(value: Any, path: Path) -> Iterator[Text]:
    if len(path) > _DEEPEST:
        return
    for name, place, inner in _parts(value):
        if isinstance(inner, str):
            if name == "description":
                yield Text(value, name, (*path, place))
        else:
            yield from _descriptions(inner, (*path, place))


def _parts(value: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield what a dict or list holds: its key, its place in the path, and itself."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, name, inner
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            index = inner.get("index") if isinstance(inner, dict) else None
            yield at, index if isinstance(index, int) else at, inner


def at_path(path: Path, text: str) -> Any:
    """Return the delta that carries a text at a place, and nothing else."""
    delta: Any = text
    for name in reversed(path):
        if isinstance(name, int):
            delta = [{"index": name, **delta} if isinstance(delta, dict) else delta]
        else:
            delta = {name: delta}
    return delta
