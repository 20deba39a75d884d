"""Bodies that nobody should send, written by ourselves: syntax, encodings, numbers, types, texts, depth.

A case is one request: an endpoint and a body. ``whole_bodies`` are wrong as a whole or odd; ``items`` are bad
items of an endpoint, to be put between good neighbours: each is JSON, so that only itself may suffer.
"""

from collections.abc import Iterator
from typing import Any

from parcelwire.wire.tracklist import ListItem
from parcelwire.wire.v22 import (
    ChangeCarrierItem,
    ChangeInfoItem,
    Info,
    NumberItem,
    RealTimeItem,
    RegisterItem,
)

ITEM_TYPES: dict[str, Any] = {
    "register": RegisterItem,
    "gettrackinfo": NumberItem,
    "getRealTimeTrackInfo": RealTimeItem,
    "stoptrack": NumberItem,
    "retrack": NumberItem,
    "deletetrack": NumberItem,
    "changecarrier": ChangeCarrierItem,
    "changeinfo": ChangeInfoItem,
    "push": NumberItem,
}
LIST, QUOTA = "gettracklist", "getquota"
ENDPOINTS = (*ITEM_TYPES, LIST, QUOTA)
N = '"SANDBOXINTRANSIT7"'

# Not JSON, each for a reason of its own; many parsers take one or the other.
BROKEN = [
    "", " ", "\n", "[", "]", "{", "}", '"', ",", ":", "[,]", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1]]",
    "[[1]", '{"a"}', '{"a":}', '{:1}', '{"a":1,}', '{"a" 1}', "{a:1}", "{'a':1}", '{1:1}',
    '{"a":1 "b":2}', '{"a":1}}', "nul", "NULL", "True", "tru", "undefined", "[NaN]", "[nan]",
    "[Infinity]", "[-Infinity]", "[inf]", "[+1]", "[01]", "[-01]", "[1.]", "[.5]", "[-]", "[--1]",
    "[1e]", "[1e+]", "[1e1.5]", "[0x10]", "[1_000]", "[1,000.5e]", "[- 1]", "[1 .5]", "[٣]", "[１]",
    '["\\x41"]', '["\\u12"]', '["\\u12G4"]', '["\\U0041"]', '["\\a"]', '["\\\'"]', '["\\"]', '["a\nb"]',
    '["a\tb"]', '["a\x00b"]', '["a\x1fb"]', "['a']", "[\"a]", "[a]", '["a" "b"]', "[\"a\"",
    "// comment\n[]", "/* comment */[]", "[]// comment", "[1/**/]", "# comment\n[]", "[]#", "<xml/>",
    "<html>", "a=1&b=2", "--x\r\nContent-Disposition: form-data\r\n\r\n[]", "[]\x00", "\x00[]", "[]x",
    "[] []", "[]{}", "1 2", '{"a":1}{"b":2}', "[\x0b1]", "[\x0c1]", "[\u00a01]", "[\u20281]", "\u200b[]",
    "[\ufeff]", "[1]\x1a", "*", "[*]", "[${7*7}]", "yes", "---\n- a", "[\"\\ud800\\u\"]", "({})",
    ")]}',\n[]", "[[]", "{{}}", "[{]}", "[}", "{]", "@", "[@]",
]  # fmt: skip
# JSON, but no list of objects.
ODD = [
    "null", "true", "false", "0", "-0", "1e400", '""', '"text"', "[]", "{}", " [ ] ", "[null]", "[[]]",
    "[0]", '["a"]', "[{}]", "[[{}]]", "[true,false]", '[{"a":1}]', '{"numbers":["A12345"],"carrier":0}',
    '{"number":"A12345"}', '{"data":[]}', '[{"number":null}]', '[{"":""}]', "[" + "9" * 5_000 + "]",
    "[1e999999999]", "[-1e-999999999]", '[{"number":' + "9" * 400 + "}]", "[" + "[]," * 60 + "[]]",
    "[" + "{}," * 60 + "{}]", "[" * 17 + "]" * 17, "[" * 5_000 + "]" * 5_000, "[" * 20_000,
    '{"a":' * 5_000, '{"a":' * 500 + "1" + "}" * 500, '["' + "[" * 5_000 + '"]',
    '[{"number":"' + "A" * 200_000 + '"}]', '[{"' + "k" * 100_000 + '":1}]',
    '["' + "\\u0000" * 10_000 + '"]', '["' + "\\ud800" * 10_000 + '"]',
    '[{' + ",".join(f'"k{n}":{n}' for n in range(5_000)) + "}]",
    "[" + ",".join(['{"number":"A12345"}'] * 41) + "]", '[{"number":"A12345"}' + " " * 100_000 + "]",
]  # fmt: skip
GOOD_TEXT = '[{"number":' + N + "}]"
RAW = [
    b"\xef\xbb\xbf" + GOOD_TEXT.encode(), GOOD_TEXT.encode("utf-16"), GOOD_TEXT.encode("utf-16-le"),
    GOOD_TEXT.encode("utf-16-be"), GOOD_TEXT.encode("utf-32"), GOOD_TEXT.encode("utf-7") + b"+AGE-",
    b'["\xff"]', b'["\xc3"]', b'["\xc0\xaf"]', b'["\xed\xa0\x80"]', b'["\xf4\x90\x80\x80"]',
    b'["\xe2\x82"]', b'[{"number":"A12345\xff"}]', b'[{"number":"A12345","tag":"\xc0\x80"}]',
    b'[{"\xff":1}]', b"\xff", b"\x80[]", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"PK\x03\x04",
    b"\x00" * 100, bytes(range(256)), b"[" + b"\x00" * 50 + b"]",
]  # fmt: skip
LARGE = [
    b"[" + b"{}," * 340_000 + b"{}]", b"[" + b'"",' * 340_000 + b'""]', b"[" * 1_000_000,
    b'["' + b'\\"' * 500_000, b'[{"number":"' + b"A" * 1_000_000 + b'"}]',
    b'[{"number":' + b"9" * 1_000_000 + b"}]", b'["' + rb"\ud800" * 170_000 + b'"]',
    b" " * 1_048_000 + b"[]", b"[" + b" " * 1_048_576 + b"]",
]  # fmt: skip

# Values for any field: of the wrong type, out of range, or texts that trouble somebody further on.
VALUES = [
    "null", "true", "false", "0", "-0", "1", "-1", "1.5", "-0.0", "1e3", "1E-400", "1e400", "-1e400",
    "2147483648", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "9" * 400,
    "9" * 5_000, "0." + "1" * 400, "[]", "{}", "[null]", '["a"]', "[[[]]]", '{"a":1}',
    "[" * 30 + "]" * 30, '{"a":' * 30 + "1" + "}" * 30, '""', '" "', '"\\t"', '"\\u0000"', '"a\\u0000b"',
    '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u202egnp.exe"', '"\\u200b"', '"\\ufeff"',
    '"\\uffff"', '"\\u2028"', '"\\u001b[31m"', '"\\r\\nSet-Cookie: a=b"', '"١٢٣"', '"１２３"', '"²"', '"Ⅷ"',
    '"ſ"', '"ı"', '"ß"', '"İ"', '"\u0301"', '"👩‍👩‍👧‍👦"', '"ﷺ"', '"' + "Z̷" * 60 + '"', '"true"',
    '"null"', '"NaN"', '"-1"', '"1e3"', '"0x1F"', '"1.0"', '"+1"', '"1 "', '"00000000001"',
    '"99999999999"', '"\'; DROP TABLE shipment; --"', '"{{7*7}}"', '"%s%n"', '"../../etc/passwd"',
    '"<script>alert(1)</script>"', '"=1+1"', '"${jndi:ldap://a}"', '"' + "x" * 101 + '"',
    '"' + "x" * 251 + '"', '"' + "x" * 1_001 + '"', '"' + "é" * 50_000 + '"',
    '"' + "\\u00e9" * 5_000 + '"', "[" + "1," * 1_000 + "1]",
]  # fmt: skip
NUMBERS = [
    '"1234"', '"12345"', '"' + "A" * 50 + '"', '"' + "A" * 51 + '"', '"' + "9" * 121 + '"', '"-----"',
    '"A-B-C"', '"A12345\\u0000"', '"A12345\\n"', '"\\nA12345"', '"A 1 2 3 4 5"', '"A.12345"',
    '"A_12345"', '"A12345;"', '"A12345,B12345"', '"ＲＲ１２３４５６７８５ＣＮ"', '"RR١٢٣٤٥٦٧٨٩CN"',
    '"RR१२३४५६७८९CN"',
    '"ЅАNDВОХ123"', '"RR123456785CN\\u200b"', '"\\u202eNC587654321RR"', '"RR123456785ſN"',
    '"RR1²3456785CN"', '"ı2345678"', '"ßßßßß"', '"ﬀﬀﬀﬀﬀ"', '"①②③④⑤"', '"rr123456785cn"',
    '"RR 123 456 785 CN"', '"\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00"', '"\\ud800A12345"',
    '"A12345\\udfff"', '"SANDBOX"', '"SANDBOX\'--"', '"null"', '"undefined"', '"true12"', '"00000"',
    '"0000000000"', '"1e10000"', '"NaN00"',
]  # fmt: skip
CODES = [
    "2147483647", "2147483648", "-2147483648", "4294967296", "21051", '"21051"', '"21051 "', '" 21051"',
    '"٢١٠٥١"', '"２１０５１"', '"21051.0"', "21051.0", "2.1051e4", '"021051"', '"usps"', '"0"', '"-0"',
    '"0x523b"', '"21_051"',
]  # fmt: skip
# Whole items: keys twice, escaped, strange, many.
SHAPES = [
    "0", "null", "true", '"RR123456785CN"', "[]", "{}", "[{}]", "1e400", '"\\ud800"',
    "[" * 40 + "]" * 40, '{"number":"A","number":"A12345"}', '{"number":"A12345","number":null}',
    '{"nu\\u006dber":"A12345"}', '{"Number":"A12345"}', '{"number ":"A12345"}',
    '{"\\u0000":1,"number":"A12345"}', '{"\\ud800":1,"number":"A12345"}',
    '{"__proto__":{"admin":true},"number":"A12345"}', '{"number":"A12345","account":1,"id":1}',
    '{"number":"A12345",' + ",".join(f'"k{n}":{n}' for n in range(2_000)) + "}",
    '{"number":"A12345","x":' + "[" * 2_000 + "]" * 2_000 + "}", '{"number":{"number":"A12345"}}',
    '{"number":["A12345"]}', '{"carrier":21051}', '{"number":"A12345","x":"' + "y" * 100_000 + '"}',
]  # fmt: skip


def whole_bodies() -> Iterator[bytes]:
    """Bodies that are wrong as a whole, or odd."""
    yield from (text.encode("utf-8", "surrogatepass") for text in (*BROKEN, *ODD))
    yield from RAW


def items(endpoint: str) -> Iterator[str]:
    """Bad items for an endpoint that takes a list, as JSON."""
    yield from SHAPES
    yield from (f'{{"number":{value}}}' for value in (*NUMBERS, *VALUES))
    read = set(RegisterItem.__struct_fields__) if endpoint == "getRealTimeTrackInfo" else {"number"}
    for field in ITEM_TYPES[endpoint].__struct_fields__:
        if field not in read:  # a real-time item is one of register with one field more
            more = CODES if "carrier" in field else []
            yield from (f'{{"number":{N},"{field}":{value}}}' for value in (*VALUES, *more))
    if endpoint == "changeinfo":
        for field in Info.__struct_fields__:
            yield from (f'{{"number":{N},"items":{{"{field}":{value}}}}}' for value in VALUES)


def filters() -> Iterator[bytes]:
    """Filters of the list."""
    for field in ListItem.__struct_fields__:
        for place, value in enumerate((*VALUES, *(NUMBERS if field == "number" else []))):
            body = f'{{"{field}":{value}}}'
            yield (body if place % 3 else f"[{body}]").encode()  # one client sends a list of one
