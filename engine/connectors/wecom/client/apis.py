"""Endpoints that wechatpy lacks, or calls in a way that doesn't do; each class is bound to a `wire.Wire`."""

from collections.abc import Mapping, Sequence
from typing import Any

from wechatpy.client.api.base import BaseWeChatAPI
from wechatpy.enterprise.client.api import (
    WeChatAgent,
    WeChatAppChat,
    WeChatMedia,
    WeChatMessage,
    WeChatMisc,
    WeChatOAuth,
    WeChatUser,
)

Answer = dict[str, Any]


class Messages(WeChatMessage):
    """Messages after they were sent."""

    def update_template_card(self, agent_id: int, response_code: str, userids: Sequence[str], **change: Any) -> Answer:
        """Change the card of those members, by `button` or a whole `template_card` (document 94888)."""
        data = {"userids": list(userids), "agentid": agent_id, "response_code": response_code, **change}
        return self._post("message/update_template_card", data=data)

    def recall(self, msgid: str) -> Answer:
        """Take a message of the last 24 h back (document 94867)."""
        return self._post("message/recall", data={"msgid": msgid})


class Users(WeChatUser):
    """Members."""

    def list_id(self, cursor: str, limit: int) -> Answer:
        """One page of the ids of all members with their departments (document 96067)."""
        return self._post("user/list_id", data={"cursor": cursor, "limit": limit})


class OAuth(WeChatOAuth):
    """Entry by a code."""

    def who(self, code: str) -> Answer:
        """Who has come with this code (document 91023)."""
        return self._get("auth/getuserinfo", params={"code": code})

    def detail(self, user_ticket: str) -> Answer:
        """What they let us know about them (document 95833)."""
        return self._post("auth/getuserdetail", data={"user_ticket": user_ticket})


class Agent(WeChatAgent):
    """The application and its place on the workbench (document 92535)."""

    def workbench_template(self, agent_id: int, keydata: Sequence[Mapping[str, Any]]) -> Answer:
        """Show key data on the workbench, with these where a member has none of their own."""
        data = {"agentid": agent_id, "type": "keydata", "keydata": {"items": list(keydata)}}
        return self._post("agent/set_workbench_template", data=data)

    def workbench(self, agent_id: int, userid: str, keydata: Sequence[Mapping[str, Any]]) -> Answer:
        """Show a member these key data."""
        data = {"agentid": agent_id, "userid": userid, "type": "keydata", "keydata": {"items": list(keydata)}}
        return self._post("agent/set_workbench_data", data=data)


class Chats(WeChatAppChat):
    """Group chats of the application."""

    def send_raw(self, chat_id: str, message: Mapping[str, Any]) -> Answer:
        """Send a message as WeCom's document describes it (document 90248)."""
        return self._post("appchat/send", data={"chatid": chat_id, **message})


class Misc(WeChatMisc):
    """What firewalls need to know."""

    def api_addresses(self) -> list[str]:
        """The addresses behind the API's domain (document 92520)."""
        return self._get("get_api_domain_ip")["ip_list"]


class Media(WeChatMedia):
    """Files of three days. Uploads take bytes, because a file that was read once is empty the second time."""

    def upload_bytes(self, kind: str, filename: str, content: bytes) -> Answer:
        """Upload a file (document 90253)."""
        return self._post("media/upload", params={"type": kind}, files={"media": (filename, content)})

    def download(self, media_id: str) -> bytes:
        """Download a file, by the same way as all other calls (document 90254)."""
        return self._client.download("media/get", {"media_id": media_id})


class Tickets(BaseWeChatAPI):
    """JS-SDK tickets, uncached (document 90506)."""

    def corp(self) -> Answer:
        """The corp's ticket."""
        return self._get("get_jsapi_ticket")

    def agent(self) -> Answer:
        """The application's ticket."""
        return self._get("ticket/get", params={"type": "agent_config"})
