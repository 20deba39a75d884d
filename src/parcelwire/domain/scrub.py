"""Takes people and secrets out of a carrier's raw reply, so that it can be shown to others.

What goes: names, streets, phone numbers, mail addresses, signatures and pictures, long postal codes (cut),
and the secrets that the caller names. What stays: codes, times, texts, cities, regions, countries. Fields are
known by their names, in JSON and in XML; phone numbers, mail addresses and "signed by ..." also inside texts.
It rather takes out too much, and it cannot know every carrier: read the file before you publish it.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

NAME, STREET, PHONE, MAIL, SIGNATURE, POSTAL, SECRET = (
    "name", "street", "phone number", "mail address", "signature", "postal code", "secret",
)  # fmt: skip
POSTAL_KEPT = 5  # characters of a postal code that stay: a district, and enough for its time zone
PICTURE_MIN = 200  # characters of base64 in one text that are taken for a picture

# Names of fields, lower case and without punctuation. The first hit decides.
_FIELDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (
            r"signature(?!required|proof|available|type|option|exists)|documenturl|image|picture|photo",
            SIGNATURE,
        ),
        (r"^(signed|received)(for)?by(name)?$|signatory|(signed|received)(for)?byname", NAME),
        (r"(recipient|receiver|consignee|shipper|sender|contact|person|customer|company|mailer)name", NAME),
        (
            r"^(recipient|receiver|consignee|signee|addressee|operatorname|couriername|drivername|firstname|lastname)$",
            NAME,
        ),
        (r"(recipient|receiver|consignee|shipper|sender|delivery)address$", STREET),
        (r"street|address(line)?[0-9]+$|^addr(ess)?line|housenumber|^addressline", STREET),
        (r"phone|mobile|^tel$|telephone|faxnumber", PHONE),
        (r"e?mail(address)?$", MAIL),
        (r"postal?code|postcode|zip(code)?5?4?$|^zip", POSTAL),
    )
)
_PARTIES = re.compile(r"recipient|receiver|consignee|shipper|sender|sign|customer|mailer|contact|person")
_PARTY_NAMES = re.compile(r"^(given|family|first|last|full)?name$")

_TEXTS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "someone@example.org", MAIL),
    (
        re.compile(r"\+\d[\d ()/.-]{7,}\d|\(\d{3}\) ?\d{3}-\d{4}|\b\d{3}[-.]\d{3}[-.]\d{4}\b"),
        "000-0000",
        PHONE,
    ),
    (re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)"), "10000000000", PHONE),  # mobile numbers in Chinese texts
    (
        re.compile(r"(?i)((?:signed|received|left with|accepted)(?: for)? by:?) +[^\W\d_][\w.' -]*"),
        r"\1 SOMEBODY",
        NAME,
    ),
    (re.compile(r"((?:签收人|收件人|投递员|揽投员|联系人)[:：]) *[^\s,，;；。)）]+"), r"\1某人", NAME),
    (re.compile(rf"[A-Za-z0-9+/]{{{PICTURE_MIN},}}=*"), "", SIGNATURE),
)
_ELEMENT = re.compile(r"<(?P<name>[\w:.-]+)(?P<rest>(?:\s[^<>]*)?)>(?P<text>[^<>]+)</(?P=name)>")
_INSTEAD: Mapping[str, Callable[[str], str]] = {
    NAME: lambda _: "SOMEBODY",
    STREET: lambda _: "SOME STREET 1",
    PHONE: lambda _: "000-0000",
    MAIL: lambda _: "someone@example.org",
    SIGNATURE: lambda _: "",
    POSTAL: lambda text: text if len(text) <= POSTAL_KEPT else text[:POSTAL_KEPT].rstrip(" -"),
}


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A reply without people and secrets, and how often what was taken out, in words."""

    body: bytes
    taken: Mapping[str, int]


def scrub(body: bytes, secrets: Collection[str], keep: str) -> Scrubbed:
    """``body`` without people and without any of ``secrets``; the tracking number ``keep`` stays."""
    return _Scrubber(secrets, keep).scrub(body)


class _Scrubber:
    def __init__(self, secrets: Collection[str], keep: str) -> None:
        self._secrets = [secret for secret in secrets if len(secret) > 3]
        self._keep = keep
        self._taken: Counter[str] = Counter()

    def scrub(self, body: bytes) -> Scrubbed:
        text = body.decode("utf-8", "replace")
        try:
            node = json.loads(text)
        except (ValueError, RecursionError):
            text = self._words(_ELEMENT.sub(self._element, text))
        else:
            text = json.dumps(self._node(node, "", ""), ensure_ascii=False, indent=1) + "\n"
        return Scrubbed(text.encode("utf-8", "surrogatepass"), dict(self._taken))

    def _node(self, node: object, field: str, party: str) -> object:
        """``field`` is the name under which ``node`` stands, ``party`` the nearest person above it."""
        if isinstance(node, dict):
            party = field if _PARTIES.search(field) else party
            return {key: self._node(value, _plain(key), party) for key, value in node.items()}
        if isinstance(node, list):
            return [self._node(item, field, party) for item in node]
        if isinstance(node, str) and node:
            inner = node.lstrip()[:1] in ("{", "[")
            return self._inner(node, field, party) if inner else self._value(node, field, party)
        return node

    def _inner(self, text: str, field: str, party: str) -> str:
        """JSON in a text, as some carriers send it."""
        try:
            node = json.loads(text)
        except (ValueError, RecursionError):
            return self._value(text, field, party)
        return json.dumps(self._node(node, field, party), ensure_ascii=False)

    def _element(self, found: re.Match[str]) -> str:
        name = found["name"]
        text = self._value(found["text"], _plain(name.rpartition(":")[2]), "")
        return f"<{name}{found['rest']}>{text}</{name}>"

    def _value(self, text: str, field: str, party: str) -> str:
        if text == self._keep:
            return text
        kind = next((kind for pattern, kind in _FIELDS if pattern.search(field)), None)
        if kind is None and party and _PARTY_NAMES.match(field):
            kind = NAME
        return self._words(text) if kind is None else self._put(text, _INSTEAD[kind](text), kind)

    def _words(self, text: str) -> str:
        for secret in self._secrets:
            text = self._put(text, text.replace(secret, "SECRET"), SECRET)
        for pattern, instead, kind in _TEXTS:
            text = self._put(text, pattern.sub(instead, text), kind)
        return text

    def _put(self, old: str, new: str, kind: str) -> str:
        self._taken[kind] += new != old
        return new


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
