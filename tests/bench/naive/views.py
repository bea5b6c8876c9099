import json
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from accounts import ids, keys
from accounts.models import ApiKey, Bot
from audit.models import DecisionRecord
from policies.models import Policy
from policies.rules import cost_to_micros
from usage.counters import counter_id
from usage.models import Counter, Reservation
from usage.pricing import PriceList
from usage.windows import calendar_bounds

PRICES = PriceList(())


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({})


@transaction.atomic
def authorize(request: HttpRequest) -> JsonResponse:
    now = timezone.now()
    text = request.headers["authorization"].removeprefix("Bearer ")
    digest = keys.digest(text, settings.POLICYHUB_KEY_PEPPER)
    key = ApiKey.objects.select_related("account").get(digest=digest, revoked_at=None)
    asked = json.loads(request.body)
    bot = Bot.objects.get(
        id=ids.decode_id("bot", asked["bot"]), account=key.account, archived_at=None
    )
    amounts = _amounts(asked, now)
    caller = {"bot": bot.public_id, "user": asked["user"], "project": bot.project_id}
    policies = Policy.objects.filter(
        account=key.account, type="usage", archived_at=None
    ).order_by("id")
    found = [
        (policy, limit, _counter(policy, limit, caller, now))
        for policy in policies
        for limit in policy.limits
    ]
    # In one order everywhere, or two requests would deadlock.
    locked = {
        counter.id: counter
        for counter in Counter.objects.select_for_update()
        .filter(id__in=[counter.id for _, _, counter in found])
        .order_by("id")
    }
    readings, holds, allowed = [], [], True
    for policy, limit, place in found:
        counter, cost = locked[place.id], amounts[limit["metric"]]
        threshold = limit["threshold"]
        if limit["metric"] == "cost":
            threshold = cost_to_micros(threshold)
        remaining = threshold - counter.used - counter.held
        exceeded = remaining <= 0 or cost > remaining
        allowed = allowed and not exceeded
        counter.held += cost
        counter.updated_at = now
        holds.append({"counter": str(counter.id), "amount": cost})
        readings.append(
            {
                "policy_id": policy.public_id,
                "revision": policy.revision,
                "metric": limit["metric"],
                "threshold": threshold,
                "used": counter.used,
                "held": counter.held,
                "remaining": max(0, remaining - cost),
                "resets_at": counter.window_end.isoformat(),
                "exceeded": exceeded,
                "enforced": True,
            }
        )
    reservation = None
    if allowed:
        for counter in locked.values():
            counter.save(update_fields=["held", "updated_at"])
        reservation = Reservation.objects.create(
            account=key.account,
            bot=bot,
            project_id=bot.project_id,
            key_id=key.id,
            user=asked["user"],
            model=asked["model"],
            amounts=amounts,
            holds=holds,
            ttl_seconds=asked["ttl_seconds"],
            created_at=now,
            expires_at=now + timedelta(seconds=asked["ttl_seconds"]),
        )
    record = DecisionRecord.objects.create(
        account=key.account,
        sequence=0,
        key_id=key.public_id,
        allowed=allowed,
        decision="allow" if allowed else "deny",
        reason_code="ok" if allowed else "limit_exceeded",
        enforced=True,
        policy_target=bot.public_id,
        policy_user=asked["user"],
        model=asked["model"],
        estimate=amounts,
        policies=readings,
        reservation_id=reservation.public_id if reservation else None,
        created_at=now,
    )
    return JsonResponse(
        {
            "id": record.public_id,
            "allowed": allowed,
            "decision": record.decision,
            "reason_code": record.reason_code,
            "policy_target": bot.public_id,
            "reservation": {"id": reservation.public_id} if reservation else None,
            "policies": readings,
        }
    )


def _amounts(asked: dict, now) -> dict[str, int]:
    read, written = (
        asked["estimate"]["input_tokens"],
        asked["estimate"]["output_tokens"],
    )
    cost = PRICES.cost(
        model=asked["model"],
        tokens=None,
        input_tokens=read,
        output_tokens=written,
        now=now,
    )
    return {"calls": 1, "tokens": read + written, "cost": cost or 0}


def _counter(policy: Policy, limit: dict, caller: dict, now) -> Counter:
    """The counter of a limit for this caller; made if there is none."""
    window = limit["window"]
    bounds = calendar_bounds(
        unit=window["unit"], timezone="UTC", week_start=1, moment=now
    )
    subject = [[name, str(caller[name])] for name in policy.document["group_by"]]
    subject_key = json.dumps(["naive", *subject])
    start = bounds.start.isoformat()
    return Counter.objects.get_or_create(
        id=counter_id(policy.id, limit["metric"], subject_key, start),
        defaults={
            "account": policy.account,
            "policy": policy,
            "limit_key": "naive-" + limit["metric"],
            "metric": limit["metric"],
            "kind": "calendar",
            "subject": subject,
            "subject_key": subject_key,
            "window_start": bounds.start,
            "window_end": bounds.end,
        },
    )[0]
