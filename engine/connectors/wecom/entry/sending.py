"""The small port by which codes get to people: mail by SMTP, texts by the hospital's SMS gateway (短信网关).

A code goes out as a row of the outbox that names it; what it is follows when it is sent, and one that is no longer good
is not sent at all. A mail that goes out twice carries one Message-ID.
"""

import http.client
import re
import smtplib
import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.connectors.wecom.settings import HttpUrl
from engine.outbox import Configuration, Permanent, Transient

_SECONDS = 5  # to connect, and for each answer: three of them fit into a lease
_MOBILE = re.compile(r"\+?\d{5,20}")
_MOST = 1 << 16  # bytes of a gateway's answer


class PostSettings(BaseSettings):
    """How mail and texts leave the hospital; docs/zh/企业微信.md explains each. A way without an address is off."""

    model_config = SettingsConfigDict(env_prefix="PIYUE_", extra="ignore")

    smtp_host: str = ""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 465
    smtp_security: Literal["tls", "starttls", "none"] = "tls"
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_sender: str = ""  # 发件人，例如 批阅 <oa@hospital.example>
    sms_url: HttpUrl | Literal[""] = ""
    sms_body: str = '{"mobile": "{mobile}", "content": "验证码 {code}，{minutes} 分钟内有效，请勿告诉他人。"}'
    sms_type: str = "application/json"
    sms_authorization: SecretStr = SecretStr("")  # the header Authorization, as the gateway wants it
    sms_success: str = ""  # what the answer must contain, where the gateway says 200 to everything


class Post:
    """Sends a code (验证码) to one person."""

    def __init__(self, settings: PostSettings) -> None:
        self._settings = settings
        self.ways = frozenset(
            way for way, there in (("mail", settings.smtp_host), ("sms", settings.sms_url)) if there
        )  # those that the administrator has set up

    def mail(self, id_: uuid.UUID, to: str, code: str, minutes: int) -> None:
        """Send it by mail. Raises Transient, Permanent (the address), Configuration (server, account, sender)."""
        message = EmailMessage()
        message["Subject"] = f"批阅验证码 {code}"
        try:
            name, sender = parseaddr(self._settings.smtp_sender)
            message["From"] = Address(name, addr_spec=sender)
        except (ValueError, IndexError):
            raise Configuration("发件人地址不可用，请检查 PIYUE_SMTP_SENDER") from None
        try:
            message["To"] = Address(addr_spec=to)
        except (ValueError, IndexError):
            raise Permanent("登记的邮箱不是可用的地址，请在人员信息里改正") from None
        message["Message-ID"] = f"<{id_}@piyue>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(
            f"您正在把企业微信与批阅的职工账号对应，验证码是 {code}，{minutes} 分钟内有效。\n\n"
            "如果不是您本人在操作，请不要把验证码告诉任何人，并联系信息科。\n"
        )
        with _smtp_errors(), self._server() as server:
            if self._settings.smtp_security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self._settings.smtp_user:
                server.login(self._settings.smtp_user, self._settings.smtp_password.get_secret_value())
            server.send_message(message)

    def _server(self) -> smtplib.SMTP:
        host, port = self._settings.smtp_host, self._settings.smtp_port
        if self._settings.smtp_security == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=ssl.create_default_context())
        return smtplib.SMTP(host, port, timeout=_SECONDS)

    def sms(self, to: str, code: str, minutes: int) -> None:
        """Send it by the gateway, as `sms_body` says. Raises Transient, Permanent (the number), Configuration."""
        if not _MOBILE.fullmatch(to):
            raise Permanent("登记的手机号不可用，请在人员信息里改正")
        body = self._settings.sms_body
        for name, value in (("mobile", to), ("code", code), ("minutes", str(minutes))):
            body = body.replace(f"{{{name}}}", value)
        status, answer = self._posted(body.encode())
        if status in (401, 403, 404, 405):
            raise Configuration(f"短信网关拒绝访问（HTTP {status}），请检查 PIYUE_SMS_URL 和 PIYUE_SMS_AUTHORIZATION")
        if status >= 500 or status in (408, 429):
            raise Transient(f"短信网关暂时不可用（HTTP {status}）")
        if not 200 <= status < 300:
            raise Permanent(f"短信网关不接受这条短信（HTTP {status}），请检查 PIYUE_SMS_BODY")
        if self._settings.sms_success and self._settings.sms_success not in answer:
            raise Permanent("短信网关没有答复成功，请在网关的记录里查看原因")

    def _posted(self, body: bytes) -> tuple[int, str]:
        """Return status and text of the gateway's answer; no redirection is followed."""
        address = urlsplit(self._settings.sms_url)
        make = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        headers = {"Content-Type": self._settings.sms_type}
        if authorization := self._settings.sms_authorization.get_secret_value():
            headers["Authorization"] = authorization
        connection = make(address.hostname or "", address.port, timeout=_SECONDS)
        try:
            path = (address.path or "/") + (f"?{address.query}" if address.query else "")
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MOST).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"连不上短信网关（{type(error).__name__}）") from None
        finally:
            connection.close()


@contextmanager
def _smtp_errors() -> Iterator[None]:
    """Sort what the mail server says; its texts may name people, so they are not kept."""
    try:
        yield
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError, smtplib.SMTPSenderRefused):
        raise Configuration("邮件服务器不认账号或发件人，请检查 PIYUE_SMTP_ 开头的设置") from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if all(code >= 500 for code in codes):
            raise Permanent("邮件服务器不接受登记的邮箱，请在人员信息里改正") from None
        raise Transient("邮件服务器暂时不接受这封邮件") from None
    except smtplib.SMTPResponseException as error:
        if error.smtp_code >= 500:
            raise Permanent(f"邮件服务器拒绝了这封邮件（{error.smtp_code}）") from None
        raise Transient(f"邮件服务器暂时不可用（{error.smtp_code}）") from None
    except ssl.SSLCertVerificationError:
        raise Configuration("邮件服务器的证书不可信，请检查 PIYUE_SMTP_HOST 和服务器的证书") from None
    except socket.gaierror:
        raise Configuration("找不到邮件服务器，请检查 PIYUE_SMTP_HOST") from None
    except (smtplib.SMTPException, OSError) as error:
        raise Transient(f"连不上邮件服务器（{type(error).__name__}）") from None
