"""The error codes of the wire and their texts.

Numbers: 17TRACK's help article on errors and its v2.2 document (reference: api-v2.2, section 9). Clients
compare numbers; the texts are ours, except that -18019901 keeps the words "already registered", which one
client looks for.
"""

from dataclasses import dataclass
from string import Formatter

from parcelwire.domain.errors import CallerError


@dataclass(frozen=True, slots=True)
class WireError:
    """``http_status`` is that of a whole call that fails with it; an item is always inside HTTP 200."""

    code: int
    text: str
    http_status: int = 200


ERRORS: dict[str, WireError] = {
    "ip_not_allowed": WireError(-18010001, "Your address is not on the allow-list of this account.", 401),
    "bad_key": WireError(-18010002, "The security key is missing or wrong.", 401),
    "internal": WireError(-18010003, "Internal error. Please try again later.", 500),
    "account_disabled": WireError(-18010004, "This account is disabled.", 401),
    "not_allowed": WireError(-18010005, "This account may not do that.", 401),
    "missing_item": WireError(-18010010, "The data item '{field}' is required."),
    "bad_item": WireError(-18010011, "The value of the data item '{field}' is not valid."),
    "bad_number": WireError(-18010012, "The format of the tracking number '{number}' is not valid."),
    "bad_body": WireError(-18010013, "The submitted data is not valid: {detail}."),
    "too_many": WireError(-18010014, "Too many items: a call takes at most {limit}."),
    "bad_value": WireError(-18010015, "The value '{value}' of the field '{field}' is not valid."),
    "not_postal": WireError(-18010016, "A last-mile carrier can be given for postal operators only."),
    "lacks_place": WireError(
        -18010018, "The carrier needs the country and the postal code in 'param', for example FR-1000AA."
    ),
    "lacks_postal_code": WireError(-18010019, "The carrier needs the recipient's postal code in 'param'."),
    "lacks_phone": WireError(-18010020, "The carrier needs a phone number, or its end, in 'param'."),
    "lacks_date": WireError(-18010022, "The carrier needs a date in 'param', for example the ship date."),
    "several_carriers": WireError(
        -18019801, "The number is registered with several carriers: give carrier_old."
    ),
    "bad_new_carrier": WireError(-18019802, "The new carrier '{carrier}' is not known."),
    "same_carrier": WireError(-18019803, "The new carrier is the one that the number has."),
    "no_new_carrier": WireError(-18019804, "Give carrier_new or final_carrier_new."),
    "not_of_old_carrier": WireError(
        -18019805, "The tracking number '{number}' is not registered for carrier_old."
    ),
    "carrier_of_stopped": WireError(
        -18019806, "The carrier of a stopped number cannot change: retrack first."
    ),
    "carrier_changes": WireError(-18019807, "The carrier of a registration can change {limit} times."),
    "no_result_yet": WireError(
        -18019808, "There is no result yet since the registration or the last change of carrier."
    ),
    "new_carrier_registered": WireError(
        -18019809, "The tracking number '{number}' is already registered with the new carrier."
    ),
    "several_registrations": WireError(
        -18019810, "The number is registered with several carriers: give carrier."
    ),
    "nothing_to_change": WireError(-18019811, "There is nothing valid to change in 'items'."),
    "no_webhook": WireError(-18010204, "There is no webhook URL to push to."),
    "carrier_timeout": WireError(-18019815, "The carrier did not answer in time."),
    "carrier_failed": WireError(-18019816, "The carrier's interface failed: {detail}."),
    "realtime_internal": WireError(-18019817, "System error, nothing was charged."),
    "no_realtime": WireError(-18019818, "Real-time tracking is not possible: {detail}."),
    "registered": WireError(-18019901, "The tracking number '{number}' is already registered."),
    "not_registered": WireError(-18019902, "The tracking number '{number}' is not registered."),
    "undetected": WireError(
        -18019903, "The carrier of '{number}' cannot be detected: give its code in 'carrier'."
    ),
    "not_stopped": WireError(-18019904, "Only a stopped number can be tracked again."),
    "retracked": WireError(-18019905, "A number can be tracked again only once."),
    "not_tracking": WireError(-18019906, "Only a number that is being tracked can be stopped."),
    "daily_limit": WireError(-18019907, "The daily limit of {limit} registrations is reached."),
    "quota": WireError(-18019908, "The quota is used up: {detail}."),
    "no_info": WireError(-18019909, "There is no tracking information yet.{detail}"),
    "bad_carrier": WireError(-18019910, "The carrier code '{carrier}' is not known. {detail}"),
    "too_fast": WireError(429, "Too many requests: at most {limit} a second.", 429),
    "key_reused": WireError(409, "This Idempotency-Key was used with another body.", 409),
    "key_in_flight": WireError(409, "A call with this Idempotency-Key is under way: wait for it.", 409),
    "failed_logins": WireError(
        429, "Too many failed logins from your address: at most {limit} a minute.", 429
    ),
    "too_large": WireError(-18010013, "The submitted data is not valid: more than {limit} bytes.", 413),
    "encoded": WireError(-18010013, "The submitted data is not valid: no content encoding is accepted.", 415),
    "too_slow": WireError(-18010013, "The submitted data is not valid: it did not arrive in time.", 408),
    "not_found": WireError(404, "There is no such address.", 404),
    "unavailable": WireError(-18010003, "Temporarily unavailable. Please try again later.", 503),
}

# Codes of 17TRACK that no answer of ours has, and why.
NOT_USED: dict[int, str] = {
    -18010201: "The webhook URL is a setting, not a call of the wire.",
    -18010202: "The webhook URL is a setting; a malformed one is refused at the start.",
    -18010203: "There is no webhook test on the wire.",
    -18010205: "The allow-list of addresses is no matter of the wire.",
    -18010206: "A push is queued and tried again; what came of it is in push_status of gettracklist.",
    -18019911: "A carrier that we know can be registered always; without credentials the shipment says so.",
    -18019912: "Every account may ask in real time; what it costs is its limit.",
}


def text_of(error: CallerError) -> str:
    """The message of an error; a value that it does not name stays empty."""
    wire = ERRORS[error.reason]
    names = {name for _, name, _, _ in Formatter().parse(wire.text) if name}
    return wire.text.format(**{name: error.values.get(name, "") for name in names}).strip()


def shown(value: object, most: int = 50) -> str:
    """A caller's value to say back: at most ``most`` printable characters."""
    return "".join(c if c.isprintable() else "?" for c in str(value)[:most])
