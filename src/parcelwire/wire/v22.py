"""Requests and answers of the v2.2 wire (reference: api-v2.2, sections 2-4).

Reading is per item: a body that does not fit as a whole is taken apart and each item is decoded in its own
try, so that a bad item never harms its neighbours. Every object of an answer is always present, with nulls
inside.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from parcelwire.domain.errors import CallerError
from parcelwire.wire.codes import ERRORS, shown, text_of

ITEMS_MAX = 40
ECHO_MAX = 250  # characters of a refused number that are sent back, so that a caller can match it
NESTING_MAX = 16  # an honest request nests three levels

T = TypeVar("T", bound="NumberItem")


# --- requests -------------------------------------------------------------------------------------------


Text = Annotated[str, msgspec.Meta(max_length=250)]
ShortText = Annotated[str, msgspec.Meta(max_length=100)]
LongText = Annotated[str, msgspec.Meta(max_length=1_000)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class NumberItem(msgspec.Struct, kw_only=True):
    """The least that an item holds. ``carrier``: absent, null, 0, an int or a numeric string."""

    number: str
    carrier: int | Text | None = None


class SpecialTracking(msgspec.Struct, kw_only=True):
    """A further way to find a shipment (v2.4)."""

    number_type: Text | None = None
    parameter: Text | None = None


class MoreItem(NumberItem, kw_only=True):
    """What v2.4 has beyond ``param``: read under every prefix, kept, and echoed by v2.4."""

    origin_country: Text | None = None
    origin_state: Text | None = None
    origin_city: Text | None = None
    origin_postal_code: Text | None = None
    destination_country: Text | None = None
    destination_state: Text | None = None
    destination_city: Text | None = None
    destination_postal_code: Text | None = None
    ship_date: Text | None = None
    shipper: Text | None = None
    consignee: Text | None = None
    phone_number: Text | None = None
    phone_number_last_4: Text | None = None
    cpf_or_cnpj: Text | None = None
    service_type: Text | None = None
    translation_mode: Text | None = None
    labels: Text | list[Text] | None = None
    special_tracking_info: SpecialTracking | None = None


MORE_FIELDS = tuple(name for name in MoreItem.__struct_fields__ if name not in NumberItem.__struct_fields__)


class RegisterItem(MoreItem, kw_only=True):
    """One item of register."""

    final_carrier: int | Text | None = None
    auto_detection: bool | None = None
    tag: ShortText | None = None
    lang: Text | None = None
    param: Text | None = None
    order_no: Int64 | ShortText | None = None
    order_time: Text | None = None
    email: Text | None = None
    remark: LongText | None = None


class ChangeCarrierItem(NumberItem, kw_only=True):
    """One item of changecarrier."""

    carrier_old: int | Text | None = None
    carrier_new: int | Text | None = None
    final_carrier_old: int | Text | None = None
    final_carrier_new: int | Text | None = None


class Info(msgspec.Struct, kw_only=True):
    """What changeinfo can change; null leaves a field as it is."""

    tag: ShortText | None = None
    lang: Text | None = None
    param: Text | None = None
    order_no: int | ShortText | None = None
    order_time: Text | None = None
    email: Text | None = None
    remark: LongText | None = None


class ChangeInfoItem(NumberItem, kw_only=True):
    """One item of changeinfo."""

    items: Info | None = None


class RealTimeItem(RegisterItem, kw_only=True):
    """One item of getRealTimeTrackInfo."""

    cacheLevel: int | Text | None = None  # noqa: N815  the wire's spelling


_FIELD = re.compile(r"\$\.(\w+)")
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_LENIENT = msgspec.json.Decoder()
_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)
_NUL = b"\\u0000"  # its only form in JSON
_DEEP = b"-0.16e-16"  # stands for an item that nests too deep; who sends just this is told the same
# Escapes in JSON text: a whole pair of surrogates, one that stands alone (the group), any other.
_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


@cache
def _decoder(wanted: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(wanted)


class BadItem(msgspec.Struct):
    """An item that could not be read: what it was about, and why."""

    number: str
    carrier: int
    error: CallerError


def read_items(body: bytes, item_type: type[T]) -> list[T | BadItem]:
    """The items of a request body. CallerError when the whole body is at fault."""
    items = _read_whole(body, item_type)
    if items is None:
        items = _read_apart(body, item_type)
    if not items:
        raise CallerError("missing_item", field="number")
    if len(items) > ITEMS_MAX:
        raise CallerError("too_many", limit=str(ITEMS_MAX))
    return items


def _read_whole(body: bytes, item_type: type[T]) -> list[T | BadItem] | None:
    """The items of an honest body, at a fifth of the cost; None when it has to be taken apart."""
    try:
        items: list[T | BadItem] = _decoder(list[item_type]).decode(body)  # type: ignore[valid-type]
    except UNREADABLE:
        return None
    flat = body.count(b"[") + body.count(b"{") == len(items) + 1
    return items if flat and _NUL not in body else None


def _read_apart(body: bytes, item_type: type[T]) -> list[T | BadItem]:
    body = _shallow(_paired(body))
    try:
        raws = _RAW_LIST.decode(body)
    except msgspec.ValidationError:
        raise CallerError("bad_body", detail="a JSON array of objects is expected") from None
    except UNREADABLE:
        raise CallerError("bad_body", detail="it is not JSON") from None
    if len(raws) > ITEMS_MAX:
        raise CallerError("too_many", limit=str(ITEMS_MAX))
    items = [_read_item(raw, _decoder(item_type)) for raw in raws]
    broken = [item for item in items if isinstance(item, BadItem) and item.error.reason == "bad_body"]
    if broken and len(broken) == len(items):
        raise broken[0].error
    return items


def _paired(body: bytes) -> bytes:
    """With NUL for each surrogate that stands alone: it is no character, but only its item shall suffer."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPES.sub(lambda escape: _NUL if escape[1] else escape[0], body)


def _shallow(body: bytes) -> bytes:
    """With a mark for each item that nests deeper than NESTING_MAX, so that its neighbours can be read."""
    if not deeper(body, NESTING_MAX):
        return body
    parts: list[bytes] = []
    depth = kept = begin = 0
    deep = False
    for match in _TOKENS.finditer(body):
        token = match[0]
        if token[0] in b"[{":
            if depth < 2 <= depth + len(token):
                begin, deep = match.start() + 1 - depth, False
            depth += len(token)
            deep = deep or depth > NESTING_MAX
        elif token[0] in b"]}":
            if deep and depth - len(token) < 2:
                parts += body[kept:begin], _DEEP
                kept, deep = match.start() + depth - 1, False
            depth -= len(token)
    if deep:  # it has no end either
        return b"".join(parts) + body[kept:begin] + _DEEP
    return b"".join(parts) + body[kept:]


def _read_item(raw: msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T | BadItem:
    try:
        item = decoder.decode(raw)
        _refuse_nul(item)
    except (*UNREADABLE, CallerError) as error:
        return _bad_item(raw, error)
    return item


def _refuse_nul(item: msgspec.Struct) -> None:
    """No NUL in any text: PostgreSQL cannot keep one. A number with one is none anyway."""
    for field in item.__struct_fields__:
        value = getattr(item, field)
        if isinstance(value, msgspec.Struct):
            _refuse_nul(value)
        elif isinstance(value, list):
            if any("\0" in text for text in value):
                raise CallerError("bad_item", field=field)
        elif isinstance(value, str) and field != "number" and "\0" in value:
            raise CallerError("bad_value", field=field, value=shown(value))


def _bad_item(raw: msgspec.Raw, error: Exception) -> BadItem:
    """Why an item cannot be read, with as much of its identity as can be."""
    try:
        given = _RAW_FIELDS.decode(raw)
    except UNREADABLE:
        deep = bytes(raw) == _DEEP
        detail = f"nested deeper than {NESTING_MAX} levels" if deep else "an item is not an object"
        return BadItem("", 0, CallerError("bad_body", detail=detail))
    if isinstance(error, UnicodeDecodeError):
        error = CallerError("bad_body", detail="a text is not UTF-8")
    elif not isinstance(error, CallerError):
        found = _FIELD.search(str(error))
        field = found.group(1) if found else "number"
        if field != "number":
            error = CallerError("bad_value", field=field, value=_written(given[field]))
        elif "number" not in given:
            error = CallerError("missing_item", field="number")
        else:
            error = CallerError("bad_number", number=_written(given["number"]))
    number = _value(given.get("number"))
    is_number = isinstance(number, str | int) and not isinstance(number, bool)
    echo = shown(number, ECHO_MAX) if is_number else ""
    return BadItem(echo, _code(_value(given.get("carrier"))), error)


def _value(raw: msgspec.Raw | None) -> object:
    try:
        return None if raw is None else _LENIENT.decode(raw)
    except UNREADABLE:
        return None


def _written(raw: msgspec.Raw) -> str:
    """A value for a message, as the caller wrote it."""
    return shown(bytes(raw).decode("utf-8", "replace").strip('"'))


def deeper(body: bytes, limit: int) -> bool:
    """Whether JSON nests deeper than ``limit``. Brackets inside strings do not count."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    for match in _TOKENS.finditer(body):
        token = match[0]
        if token[0] in b"[{":
            depth += len(token)
            if depth > limit:
                return True
        elif token[0] in b"]}":
            depth -= len(token)
    return False


# A string without an end reaches to the end of the body: every byte is read once. Brackets come in runs.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]+|[\]}]+', re.DOTALL)


def carrier_code(value: int | str | None) -> int:
    """The carrier code that was given; 0 for none. CallerError for a text that is no number."""
    if not value:
        return 0
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            raise CallerError("bad_carrier", carrier=shown(value))
        value = int(text)
    if not 0 <= value < 2**31:
        raise CallerError("bad_carrier", carrier=shown(value))
    return value


def named(item: NumberItem | BadItem) -> tuple[str, int]:
    """Number and carrier code of an item as far as they can be told, for a refusal."""
    if isinstance(item, BadItem):
        return item.number, item.carrier
    return shown(item.number, ECHO_MAX), _code(item.carrier)


def _code(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | None):
        return 0
    try:
        return carrier_code(value)
    except CallerError:
        return 0


def instant(value: int | str | None) -> bool:
    """Whether a real-time call asks the carrier now (1, "1", "Instant") or may be cached (0, "Standard")."""
    if not value:
        return False
    word = str(value).strip().casefold()
    if word in ("1", "instant"):
        return True
    if word in ("0", "standard", ""):
        return False
    raise CallerError("bad_value", field="cacheLevel", value=shown(value))


# --- answers --------------------------------------------------------------------------------------------


class ErrorBody(msgspec.Struct):
    """Why one item or one call was refused."""

    code: int
    message: str


class Rejected(msgspec.Struct):
    """One refused item."""

    number: str
    carrier: int
    error: ErrorBody


class RegisterRejected(Rejected):
    """One refused item of register; it repeats the caller's tag."""

    tag: str | None = None


class Registered(msgspec.Struct):
    """One accepted item of register. ``origin``: 1 detected or corrected, 2 as given, 3 a guess."""

    origin: int
    number: str
    carrier: int
    email: str | None = None
    tag: str | None = None
    lang: str | None = None


class Numbered(msgspec.Struct):
    """One accepted item of stoptrack, retrack, deletetrack, push."""

    number: str
    carrier: int


class Tracked(msgspec.Struct):
    """One accepted item of gettrackinfo and getRealTimeTrackInfo, and the ``data`` of TRACKING_UPDATED."""

    number: str
    carrier: int
    param: str | None
    tag: str | None
    track_info: msgspec.Raw


class Tracked24(Tracked, kw_only=True):
    """One accepted item of v2.4: the register fields stand beside ``track_info``."""

    origin_country: str | None = None
    origin_state: str | None = None
    origin_city: str | None = None
    origin_postal_code: str | None = None
    destination_country: str | None = None
    destination_state: str | None = None
    destination_city: str | None = None
    destination_postal_code: str | None = None
    ship_date: str | None = None
    shipper: str | None = None
    consignee: str | None = None
    phone_number: str | None = None
    phone_number_last_4: str | None = None
    cpf_or_cnpj: str | None = None
    service_type: str | None = None
    translation_mode: str | None = None
    labels: str | list[str] | None = None
    special_tracking_info: dict[str, str] | None = None
    final_carrier: int | None = None
    lang: str | None = None
    order_no: str | None = None
    order_time: str | None = None
    email: str | None = None
    remark: str | None = None


class CarrierChanged(msgspec.Struct):
    """One accepted item of changecarrier; 0 for none."""

    number: str
    carrier_old: int
    carrier_new: int
    final_carrier_old: int
    final_carrier_new: int


class Stopped(msgspec.Struct):
    """The ``data`` of TRACKING_STOPPED."""

    number: str
    carrier: int
    param: str | None
    tag: str | None


A = TypeVar("A")


class Lists(msgspec.Struct, Generic[A]):
    """``data`` of a processed call."""

    accepted: list[A]
    rejected: Sequence[Rejected]


class Envelope(msgspec.Struct, Generic[A]):
    """A processed call; ``code`` 0 even when every item was refused."""

    data: Lists[A]
    code: int = 0


class Failure(msgspec.Struct):
    """``data`` of a call that failed as a whole."""

    errors: list[ErrorBody]
    accepted: list[msgspec.Raw] = []
    rejected: list[msgspec.Raw] = []


class FailedEnvelope(msgspec.Struct):
    """A call that failed as a whole."""

    code: int
    data: Failure


class Quota(msgspec.Struct):
    """``data`` of getquota. All seven are always there; a connector refuses the answer otherwise."""

    quota_total: int
    quota_used: int
    quota_remain: int
    today_used: int
    max_track_daily: int
    free_email_quota: int = 0
    free_email_quotaused: int = 0


class QuotaEnvelope(msgspec.Struct):
    """The answer of getquota."""

    data: Quota
    code: int = 0


class Push(msgspec.Struct):
    """The body of a webhook."""

    event: Literal["TRACKING_UPDATED", "TRACKING_STOPPED"]
    data: Tracked | Stopped


encode = msgspec.json.Encoder().encode


def answer(accepted: list[Any], rejected: Sequence[Rejected]) -> bytes:
    """The envelope of a processed call."""
    return encode(Envelope(Lists(accepted, rejected)))


def answer_of(accepted: Iterable[bytes], rejected: Sequence[Rejected]) -> bytes:
    """The same, of accepted items that are encoded already: they are copied once, and not looked at."""
    parts = [b'{"data":{"accepted":[']
    for item in accepted:
        parts += item, b","
    if len(parts) > 1:
        parts.pop()
    parts += b'],"rejected":', encode(rejected), b'},"code":0}'
    return b"".join(parts)


def rejected(number: str, code: int, error: CallerError) -> Rejected:
    """One refused item."""
    return Rejected(number, code, error_body(error))


def error_body(error: CallerError) -> ErrorBody:
    """Code and text of an error."""
    return ErrorBody(ERRORS[error.reason].code, text_of(error))


def failure(error: CallerError) -> tuple[int, bytes]:
    """HTTP status and body of a call that fails as a whole."""
    wire = ERRORS[error.reason]
    return wire.http_status, encode(FailedEnvelope(wire.code, Failure([error_body(error)])))
