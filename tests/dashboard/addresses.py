"""Every page of an account, for tests that hold all of them to something."""


def plain_pages(slug):
    """The pages that need no row."""
    at = f"/app/{slug}/"
    names = ["", "gauges/", "policies/", "policies/?type=usage", "bots/", "alerts/"]
    names += ["alerts/?state=open", "conversations/", "retention/", "settings/"]
    names += [
        "try/",
        "webhooks/",
        "gateway/",
        "usage/",
        "standing/",
        "usage/?group=bot&previous=1",
        "views/",
        "views/?of=usage&query=metric%3Dcost",
    ]
    names += ["retention/due/", "retention/runs/", "retention/holds/"]
    return [at + name for name in names]


def facts_pages(slug):
    """The pages that viewers may not see."""
    at = f"/app/{slug}/"
    names = ["decisions", "decisions/changes", "keys", "alerts/recipients"]
    return [f"{at}{name}/" for name in names]


def writing_pages(slug):
    """The pages for owners and operators alone."""
    at = f"/app/{slug}/"
    names = ["policies/new/", "policies/new/usage/", "policies/new/retention/"]
    names += ["policies/mode/", "policies/new/content/", "gateway/upstreams/new/"]
    names += ["retention/holds/new/"]
    names += ["start/", "webhooks/new/"]
    return [at + name for name in [*names, "bots/new/", "keys/new/"]]
