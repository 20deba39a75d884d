"""All that the owner can do, by name: what /owner/<name> and the command line call."""

from parcelwire.flows import accounts, manage, strikes, webhooks

VERBS: dict[str, manage.Verb] = manage.VERBS | accounts.VERBS | webhooks.VERBS | strikes.VERBS
