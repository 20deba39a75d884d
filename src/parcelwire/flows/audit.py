"""The audit for the owner: what was changed, and whether the record of it is whole."""

from collections.abc import Mapping

from parcelwire.domain.audit import OPERATOR, Chain, Record, first_break
from parcelwire.flows.context import Context
from parcelwire.flows.manage import Answer, Verb, account_named, time_text

OPERATOR_NAME = "(operator)"


async def listed(context: Context, values: Mapping[str, str]) -> Answer:
    """All records, of one ``account`` or of all and the operator, the oldest first."""
    rows = [
        _shown(name, record)
        for name, chain in (await _chains(context, values)).items()
        for record in chain.records
    ]
    return {"records": sorted(rows, key=lambda row: str(row["at"]))}


async def verify(context: Context, values: Mapping[str, str]) -> Answer:
    """For each chain how many records it has, the mark of the last one, and what is wrong where."""
    rows = []
    for name, chain in (await _chains(context, values)).items():
        head = chain.head
        rows.append(
            {
                "account": name,
                "records": len(chain.records),
                "mark": head.mark.hex() if head else None,
                "broken": first_break(chain),
            }
        )
    return {"whole": not any(row["broken"] for row in rows), "chains": rows}


VERBS: dict[str, Verb] = {"audit-list": listed, "audit-verify": verify}


async def _chains(context: Context, values: Mapping[str, str]) -> dict[str, Chain]:
    """By name. An account that has none has an empty one; a chain of no account has its number as name."""
    store = context.store
    if values.get("account"):
        account = await account_named(context, values["account"])
        return {account.name: await store.chain(account.id)}
    names = {OPERATOR: OPERATOR_NAME} | {account.id: account.name for account in await store.accounts()}
    numbers = [*names, *(number for number in await store.chains() if number not in names)]
    return {names.get(number, f"account {number}"): await store.chain(number) for number in numbers}


def _shown(name: str, record: Record) -> Answer:
    deed = record.deed
    return {
        "account": name,
        "n": record.seq,
        "at": time_text(deed.at),
        "actor": deed.actor,
        "action": deed.action,
        "object": deed.subject,
        "fields": list(deed.fields),
        "mark": record.mark.hex(),
    }
