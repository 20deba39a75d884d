"""What an operation costs, and how big a plan is (reference: api-v2.2, section 7)."""

from datetime import datetime

REGISTER = 1
REAL_TIME_CACHED = 1
REAL_TIME = 10
TRANSLATION = 1  # once for a shipment, when the first translation is given

PLANS: dict[str, int] = {"free": 100, "unlimited": 1_000_000_000}


def plan_size(plan: str) -> int | None:
    """Quota a month of a plan: a name of PLANS or a positive number. None when it is neither."""
    if plan in PLANS:
        return PLANS[plan]
    if not (plan.isascii() and plan.isdigit() and len(plan) <= 10):
        return None
    size = int(plan)
    return size if 0 < size <= PLANS["unlimited"] else None


def period(now: datetime) -> str:
    """The quota period that a moment belongs to: it begins on the 1st at 00:00 UTC."""
    return now.strftime("%Y-%m")
