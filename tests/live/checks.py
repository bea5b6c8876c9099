"""What Schemathesis holds every answer to besides its own checks.

Loaded through `SCHEMATHESIS_HOOKS`. `LIVE_IDS` names rows that are there, so that not
every path leads nowhere.
"""

import json
import os
import random

import schemathesis

from tests.live.forms import told_of_an_upstream, wrong_with

IDS = json.loads(os.environ.get("LIVE_IDS", "{}"))
SLOW_SECONDS = float(os.environ.get("LIVE_PATIENCE", "2"))


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Now and then name a row that is there; never nothing, which is another path."""
    for name in path_parameters or {}:
        if name in IDS and random.random() < 0.7:
            path_parameters[name] = IDS[name]
    _name_something(path_parameters)
    return path_parameters


@schemathesis.hook
def before_call(context, case, **kwargs):
    """Links between operations fill in paths too."""
    _name_something(case.path_parameters)


def _name_something(path_parameters) -> None:
    for name, value in (path_parameters or {}).items():
        if not str(value).strip("./"):
            path_parameters[name] = "x"


@schemathesis.check
def clear_answer(ctx, response, case):
    """An error is a problem, or has the form that the route's own clients know."""
    status = response.status_code
    # How long an upstream that is not there is waited for is its own setting.
    if not told_of_an_upstream(case.path, response.content):
        assert status < 500, status
        assert response.elapsed < SLOW_SECONDS, f"{response.elapsed:.1f} s"
    if status < 400 or case.method == "HEAD" or case.path == "/readyz":
        return
    kind = response.headers.get("content-type", [""])[0]
    wrong = wrong_with(case.path, status, kind, response.content)
    assert not wrong, wrong
