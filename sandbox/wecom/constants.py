"""What an administrator would copy from the console of the stand-in's corp."""

CORP_ID = "wwpiyuesandbox"
CORP_NAME = "演示医院"

AGENT_ID = 1000002
AGENT_NAME = "批阅"
AGENT_SECRET = "sandbox-agent-secret-1000002-piyue"  # nosec B105
OTHER_AGENT_ID = 1000003  # a second app, to see that nothing is shared by mistake
OTHER_AGENT_NAME = "值班"
OTHER_AGENT_SECRET = "sandbox-agent-secret-1000003-duty"  # nosec B105
CONTACTS_ID = 0  # the contact synchronisation (通讯录同步): no app, but it has a secret and callbacks
CONTACTS_SECRET = "sandbox-contact-sync-secret-piyue"  # nosec B105
CALLBACK_TOKEN = "sandboxtoken"  # nosec B105
CALLBACK_AES_KEY = "c2FuZGJveC13ZWNvbS1waXl1ZS1hZXMta2V5LTAwMDE"  # 43 characters, as the console makes them

PHONES = ("10027", "10026")  # shown at first: who applies for leave in the story of the demo hospital, and who agrees

MEMBER_COOKIE = (
    "wecom_sandbox_member"  # set by the phone page: who looks at the webview; the login pages ask nobody then
)
SCANNED_COOKIE = "wecom_sandbox_scanned"  # of a few seconds, from the same page: who has just scanned the login code
