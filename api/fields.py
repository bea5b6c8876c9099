"""Fields and bodies that take a JSON value as it is or refuse it, never coerce it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rest_framework import serializers

from policies.json_reader import MAX_PROBLEMS, unprintable
from policies.rules import MAX_INTEGER

_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


class Body(serializers.Serializer[Any]):
    """A JSON object whose unknown members are errors."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Check all members. Raises ValidationError with everything that is wrong."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"": ["must be an object"]})
        problems: dict[str, Any] = {
            name: ["is not a known field"]
            for name in list(data)[:MAX_PROBLEMS]
            if name not in self.fields
        }
        values: dict[str, Any] = {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if isinstance(error.detail, dict):
                problems |= error.detail
        if problems:
            raise serializers.ValidationError(problems)
        return values


class Text(serializers.CharField):
    """Text without control characters; `lines=True` admits line ends and tabs."""

    default_error_messages = {
        "invalid": "must be text",
        "blank": "must not be empty",
        "control": "must not contain control characters",
        "max_length": "must have at most {max_length} characters",
        "null": "must not be null",
        "required": "is required",
    }

    def __init__(self, *, lines: bool = False, **options: Any) -> None:
        self.lines = lines
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        """Return the text itself."""
        if not isinstance(data, str):
            self.fail("invalid")
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        if data.isspace() and not self.allow_blank:
            self.fail("blank")
        if any(unprintable(letter, lines=self.lines) for letter in data):
            self.fail("control")
        return data


class Count(serializers.IntegerField):
    """A whole number from 0 to 2**53 - 1: the integers that JSON keeps exact."""

    default_error_messages = {
        "invalid": "must be a whole number from {least} to {most}",
        "null": "must not be null",
        "required": "is required",
    }

    def __init__(
        self, *, least: int = 0, most: int = MAX_INTEGER, **options: Any
    ) -> None:
        self.least, self.most = least, most
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> int:
        """Return the number itself; a boolean, a float or text is none."""
        fits = isinstance(data, int) and not isinstance(data, bool)
        if not fits or not self.least <= data <= self.most:
            self.fail("invalid", least=self.least, most=self.most)
        return int(data)


class Moment(serializers.DateTimeField):
    """An instant as RFC 3339 writes it, with an offset; answered in UTC."""

    default_error_messages = {
        "invalid": "must be a moment with an offset, such as 2026-01-31T12:00:00Z",
        "null": "must not be null",
        "required": "is required",
    }

    def to_internal_value(self, value: Any) -> datetime:
        """Return the instant in UTC."""
        moment = instant(value)
        if moment is None:
            self.fail("invalid")
        return moment


def instant(value: object) -> datetime | None:
    """Return the instant, in UTC, that a text in RFC 3339 names; else None."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class Choice(serializers.ChoiceField):
    """One of some words."""

    default_error_messages = {
        "invalid_choice": "must be one of: {choices}",
        "null": "must not be null",
        "required": "is required",
    }

    def to_internal_value(self, data: Any) -> str:
        """Return the word itself."""
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(map(str, self.choices)))
        return data


class JsonObject(serializers.DictField):
    """Any JSON object."""

    default_error_messages = {
        "not_a_dict": "must be an object",
        "null": "must not be null",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the object itself."""
        if not isinstance(data, dict):
            self.fail("not_a_dict")
        return data


class Texts(serializers.ListField):
    """A list of texts."""

    default_error_messages = {
        "not_a_list": "must be an array",
        "null": "must not be null",
        "required": "is required",
    }

    def to_internal_value(self, data: Any) -> list[str]:
        """Return the list itself."""
        if not isinstance(data, list):
            self.fail("not_a_list")
        return list(super().to_internal_value(data))
