"""All that the owner can do, by name: what /owner/<name> and the command line call."""

from parcelwire.flows import accounts, audit, doctor, inbox, manage, secrets, strikes, webhooks

VERBS: dict[str, manage.Verb] = (
    manage.VERBS
    | accounts.VERBS
    | webhooks.VERBS
    | audit.VERBS
    | secrets.VERBS
    | strikes.VERBS
    | inbox.VERBS
    | doctor.VERBS
)
