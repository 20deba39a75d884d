"""``parcelwire serve`` with a bug: one number, or what is told of it, kills the process."""

import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime

from parcelwire.carriers import sandbox
from parcelwire.cli.main import main
from parcelwire.domain.exchange import Answers, Reply
from parcelwire.domain.push import PushJob
from parcelwire.flows import push

number, work = os.environ["POISON"].split("/")
read, headers = sandbox.parse, push.headers


def deadly_read(reply: Reply, numbers: Sequence[str]) -> Answers:
    if number in numbers:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(reply, numbers)


def deadly_headers(job: PushJob, at: datetime) -> dict[str, str]:
    if number.encode() in job.body and job.version == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return headers(job, at)


if work == "refresh":
    sandbox.parse = deadly_read
else:
    push.headers = deadly_headers
sys.argv = ["parcelwire", "serve"]
main()
