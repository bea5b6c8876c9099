"""Short ways to call the gateway and to see what it did."""

import json

from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from accounts.services import create_key


def new_key(house, *scopes, **bound):
    _, text = create_key(
        account=house.account,
        name="",
        scopes=list(scopes or ["gateway"]),
        actor=SYSTEM,
        now=utc_now(),
        **bound,
    )
    return text


def chat(text="hello world", model="echo", **fields):
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def events(text):
    """The data of a stream's events; the end as it is."""
    found = [line[6:] for line in text.split("\n\n") if line.startswith("data: ")]
    return [one if one == "[DONE]" else json.loads(one) for one in found]
