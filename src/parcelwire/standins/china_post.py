"""Answers like the EMS platform for contract customers: one form endpoint, errors inside HTTP 200."""

import json
import re
from base64 import b64decode
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from parcelwire.domain.exchange import Reply, Request
from parcelwire.domain.status import SubStatus
from parcelwire.standins._journeys import PostStandIn, Scan

CHINA = timezone(timedelta(hours=8))
CLOCK_OFF_MAX = timedelta(minutes=10)

_STEPS = {
    SubStatus.INFO_RECEIVED: ("764", "已支付尾款", "订单尾款已支付"),
    SubStatus.PICKED_UP: ("203", "收寄计费信息", "【{place}】邮件已收寄"),
    SubStatus.IN_TRANSIT: ("954", "邮件到达处理中心", "邮件到达【{place}】处理中心"),
    SubStatus.OUT_FOR_DELIVERY: ("702", "投递下段", "【{place}】正在安排投递"),
    SubStatus.FAILURE_NO_BODY: ("705", "投递结果反馈-未妥投", "邮件未妥投，原因：无人在家"),
    SubStatus.AVAILABLE_FOR_PICKUP: ("747", "包裹柜/自提点已接收", "邮件已放入【{place}】包裹柜"),
    SubStatus.DELIVERED: ("704", "投递结果反馈-妥投", "邮件已妥投，本人签收"),
}
_PLACES = (("江苏省", "南京市", "32"), ("湖北省", "武汉市", "42"), ("云南省", "昆明市", "53"))


class ChinaPostStandIn(PostStandIn):
    """Accepts one contract: ``secrets`` are its credentials. A loaded fragment is a list of trace items."""

    slug = "china_post"
    per_minute = 600

    def __init__(self) -> None:
        super().__init__()
        self.secrets = {
            "sender_no": "1100000000017",
            "authorization": "stand-in-contract",
            "sm4_key": "c3RhbmQtaW4gc20tNCBrZQ==",
        }
        self._now = datetime.min.replace(tzinfo=UTC)

    def answer(self, request: Request, now: datetime) -> Reply:
        self._now = now
        return super().answer(request, now)

    def refusal(self, request: Request) -> Reply | None:
        form = _form(request)
        if request.method != "POST" or request.path != "/amp-prod-api/f/amp/api/open":
            return Reply(404)
        if form.get("apiCode") != "040001":
            return self._failed("B00010", "接口代码不存在")
        if (form.get("senderNo"), form.get("authorization")) != (
            self.secrets["sender_no"],
            self.secrets["authorization"],
        ):
            return self._failed("B00001", "授权码错误")
        if self._business(form) is None:
            return self._failed("B00002", "签名验证失败")
        if not self._timely(form.get("timeStamp", "")):
            return self._failed("B00003", "请求时间超出范围")
        return None

    def throttled(self) -> Reply:
        return self._failed("B00009", "访问频率超过限制")

    def tracked(self, request: Request, now: datetime) -> Reply:
        business = self._business(_form(request)) or {}
        number = business.get("waybillNo", "")
        items = self.loaded.get(number)
        if items is None:
            known = re.fullmatch(r"[A-Z]{2}\d{9}[A-Z]{2}|\d{13}", number)
            scans = reversed(self.journey(number, now)) if known else ()
            items = [_item(number, scan) for scan in scans]
        body = {"responseItems": items}
        # Both forms of the body occur in the wild; which one depends on the number, so that both are tried.
        odd = number[-3:-2].isdigit() and int(number[-3]) % 2 == 1
        return self._reply("00000", "成功", json.dumps(body, ensure_ascii=False) if odd else body)

    def _business(self, form: dict[str, str]) -> dict[str, str] | None:
        """The decrypted business JSON; None when the seal is not the contract's."""
        mark, sealed = form.get("logitcsInterface", "")[:4], form.get("logitcsInterface", "")[4:]
        key = self.secrets["sm4_key"]
        try:
            decryptor = Cipher(algorithms.SM4(b64decode(key)), modes.ECB()).decryptor()  # noqa: S305
            padded = decryptor.update(b64decode(sealed)) + decryptor.finalize()
            unpadder = PKCS7(128).unpadder()
            text = (unpadder.update(padded) + unpadder.finalize()).decode()
            if mark != "|$4|" or not text.endswith(key):
                return None
            business = json.loads(text.removesuffix(key))
        except ValueError:
            return None
        return business if isinstance(business, dict) else None

    def _timely(self, stamp: str) -> bool:
        try:
            stated = datetime.fromisoformat(stamp).replace(tzinfo=CHINA)
        except ValueError:
            return False
        return abs(stated - self._now) <= CLOCK_OFF_MAX

    def _failed(self, code: str, message: str) -> Reply:
        return self._reply(code, message, None)

    def _reply(self, code: str, message: str, body: object) -> Reply:
        answer = {
            "serialNo": f"{self._now:%Y%m%d%H%M%S}000001",
            "retCode": code,
            "retMsg": message,
            "retBody": body,
            "retDate": _local(self._now),
            "success": code == "00000",
        }
        return Reply(
            200, {"content-type": "application/json"}, json.dumps(answer, ensure_ascii=False).encode()
        )


def _form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()}


def _item(number: str, scan: Scan) -> dict[str, str]:
    code, name, text = _STEPS[scan.step]
    province, city, office = _PLACES[scan.place]
    return {
        "waybillNo": number,
        "opTime": _local(scan.at),
        "opCode": code,
        "opName": name,
        "opDesc": text.format(place=city),
        "opOrgCode": f"{office}000100",
        "opOrgName": f"{city}邮件处理中心",
        "opOrgProvName": province,
        "opOrgCity": city,
        "deliverCode": "10" if code == "704" else "",
        "attemptDeliveryCode": "4" if code == "705" else "",
        "productName": "特快专递",
    }


def _local(at: datetime) -> str:
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


STAND_IN = ChinaPostStandIn
