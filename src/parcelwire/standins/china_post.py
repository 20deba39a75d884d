"""Answers like the EMS platform for contract customers: one form endpoint, errors inside HTTP 200."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs

from parcelwire.domain.exchange import Reply, Request
from parcelwire.standins._gate import Gate, json_reply
from parcelwire.standins._journey import Place, Scan, Step
from parcelwire.standins._post import PostStandIn

CHINA = timezone(timedelta(hours=8))
CLOCK_OFF_MAX = timedelta(minutes=10)
SM4_KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="  # of the contract that the stand-in knows
SAID: Mapping[Step, tuple[str, str, str]] = {
    Step.LABEL: ("764", "已支付尾款", "订单尾款已支付"),
    Step.PICKED_UP: ("203", "收寄计费信息", "【{place}】邮件已收寄"),
    Step.LEFT: ("389", "处理中心封车", "邮件离开【{place}】处理中心"),
    Step.ARRIVED: ("954", "邮件到达处理中心", "邮件到达【{place}】处理中心"),
    Step.AT_STATION: ("713", "到达投递机构", "邮件到达【{place}】投递机构"),
    Step.OUT: ("702", "投递下段", "【{place}】正在安排投递"),
    Step.DELIVERED: ("704", "投递结果反馈-妥投", "邮件已妥投，本人签收"),
}


def _city(city: str, province: str, office: str) -> Place:
    return Place(city, province, office, "CN", "中国", "Asia/Shanghai")


class ChinaPostStandIn(PostStandIn):
    """``credentials``: customer number and authorization; the key is ``sm4_key``. A loaded fragment is a list
    of trace items."""

    slug = "china_post"
    places = (
        _city("南京市", "江苏省", "21000100"),
        _city("武汉市", "湖北省", "43000100"),
        _city("昆明市", "云南省", "65000100"),
    )

    def __init__(self, credentials: tuple[str, str] | None = None, sm4_key: str = SM4_KEY) -> None:
        super().__init__(Gate(calls=600, seconds=60, per_day=100_000), credentials)
        self.sm4_key = sm4_key

    def refusal(self, request: Request, now: datetime) -> Reply | None:
        if (request.method, request.path) != ("POST", "/amp-prod-api/f/amp/api/open"):
            return Reply(404)
        form = _form(request)
        if form.get("apiCode") != "040001":
            return _answer(now, "B00010", "接口代码不存在")
        if not self.accepts(form.get("senderNo", ""), form.get("authorization", "")):
            return _answer(now, "B00001", "授权码错误")
        if self._business(form) is None:
            return _answer(now, "B00002", "签名验证失败")
        if not _timely(form.get("timeStamp", ""), now):
            return _answer(now, "B00003", "请求时间超出范围")
        return None

    def throttled(self, now: datetime) -> Reply:
        return _answer(now, "B00009", "访问频率超过限制")

    def tracked(self, request: Request, now: datetime) -> Reply:
        number = str((self._business(_form(request)) or {}).get("waybillNo"))
        items = self.loaded(number)
        if items is None:
            known = number not in self.unknown and re.fullmatch(r"[A-Z]{2}\d{9}[A-Z]{2}|\d{13}", number)
            items = [_item(number, scan) for scan in reversed(self.journey(number, now))] if known else []
        body = {"responseItems": items}
        # Both forms of the body occur in the wild; which one depends on the number, so that both are tried.
        as_text = sum(number.encode()) % 2 == 1
        return _answer(now, "00000", "成功", json.dumps(body, ensure_ascii=False) if as_text else body)

    def _business(self, form: Mapping[str, str]) -> dict[str, object] | None:
        """The decrypted business JSON; None when the seal is not the contract's."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        mark, sealed = form.get("logitcsInterface", "")[:4], form.get("logitcsInterface", "")[4:]
        cipher = Cipher(algorithms.SM4(b64decode(self.sm4_key)), modes.ECB())  # noqa: S305
        decryptor, unpadder = cipher.decryptor(), PKCS7(128).unpadder()
        try:
            padded = decryptor.update(b64decode(sealed)) + decryptor.finalize()
            text = (unpadder.update(padded) + unpadder.finalize()).decode()
            business = json.loads(text.removesuffix(self.sm4_key))
        except ValueError:
            return None
        sound = mark == "|$4|" and text.endswith(self.sm4_key) and isinstance(business, dict)
        return business if sound else None


def _form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()}


def _timely(stamp: str, now: datetime) -> bool:
    try:
        stated = datetime.fromisoformat(stamp).replace(tzinfo=CHINA)
    except ValueError:
        return False
    return abs(stated - now) <= CLOCK_OFF_MAX


def _item(number: str, scan: Scan) -> dict[str, str]:
    code, name, text = SAID[scan.step]
    return {
        "waybillNo": number,
        "opTime": scan.at.strftime("%Y-%m-%d %H:%M:%S"),
        "opCode": code,
        "opName": name,
        "opDesc": text.format(place=scan.place.city),
        "opOrgCode": scan.place.postal_code,
        "opOrgName": f"{scan.place.city}邮件处理中心",
        "opOrgProvName": scan.place.state,
        "opOrgCity": scan.place.city,
        "deliverCode": "10" if code == "704" else "",
        "attemptDeliveryCode": "",
        "productName": "特快专递",
    }


def _answer(now: datetime, code: str, message: str, body: object = None) -> Reply:
    return json_reply(
        200,
        {
            "serialNo": f"{now:%Y%m%d%H%M%S}000001",
            "retCode": code,
            "retMsg": message,
            "retBody": body,
            "retDate": now.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S"),
            "success": code == "00000",
        },
    )


STAND_IN = ChinaPostStandIn
