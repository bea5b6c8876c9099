"""Who writes: a person, a key, or PolicyHub itself."""

from dataclasses import dataclass
from typing import Self

from accounts.models import ApiKey, Person


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change, as it is remembered.

    `kind` is person, key or system; `id` the public id; `label` what people read.
    """

    kind: str
    id: str = ""
    label: str = ""

    @classmethod
    def person(cls, person: Person) -> Self:
        """Name a person who is logged in."""
        return cls("person", person.public_id, person.email)

    @classmethod
    def key(cls, key: ApiKey) -> Self:
        """Name an API key."""
        return cls("key", key.public_id, str(key))


SYSTEM = Actor("system", "", "PolicyHub")
