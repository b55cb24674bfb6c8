"""WeCom's webview for tests: a browser with WeCom's user agent, with `WeixinJSBridge` in its pages, of one member."""

import json
import urllib.request
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from engine.settings import ROOT
from sandbox.wecom import constants

BRIDGE = ROOT / "sandbox/wecom/ui/bridge.js"
USER_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "wxwork/4.1.30 MicroMessenger/7.0.1 Language/zh ColorScheme/Light"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; V2309A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0.0.0 "
    "Mobile Safari/537.36 wxwork/4.1.30 MicroMessenger/7.0.1 NetType/WIFI Language/zh Lang/zh ColorScheme/Light"
)


def webview(
    browser: Browser, sandbox: str, member: str, *, user_agent: str = USER_AGENT, **options: Any
) -> BrowserContext:
    """Return a browser context that is the webview of a member's phone; `sandbox` is the stand-in's address.

    What a page asks of the app goes to the stand-in with the address that the browser says the page has.
    """
    settings = {"viewport": {"width": 390, "height": 844}, "locale": "zh-CN", "timezone_id": "Asia/Shanghai"} | options
    context = browser.new_context(user_agent=user_agent, **settings)
    context.add_cookies([{"name": constants.MEMBER_COOKIE, "value": member, "url": sandbox}])

    def native(source: dict[str, Any], name: str, params: dict[str, Any] | None = None) -> Any:
        page: Page = source["page"]
        if name == "closeWindow":
            page.close()
            return {}
        asked = {"as": member, "url": source["frame"].url, "name": name, "params": params or {}}
        request = urllib.request.Request(f"{sandbox}/phone/bridge", json.dumps(asked).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    context.expose_binding("wecomNative", native)
    context.add_init_script(path=BRIDGE)
    return context
