"""What an administrator would enter on both sides of a connection to the stand-ins' OAs."""

SYSTEM = "批阅"  # how the OAs name the product

LANDRAY_APP = "Piyue"  # appName
LANDRAY_MODEL = "com.piyue.item"  # modelName
LANDRAY_USER = "piyue"
LANDRAY_PASSWORD = "sandbox-landray-password"  # nosec B105

WEAVER_SYSCODE = "piyue"
WEAVER_APPID = "PIYUE-SANDBOX"

SEEYON_REGISTER_CODE = "3006"
SEEYON_USER = "rest"
SEEYON_PASSWORD = "sandbox-seeyon-password"  # nosec B105

PLAIN_TOKEN = "sandbox-plain-token"  # nosec B105

SIGN_ON_SECRET = "sandbox-oa-sign-on"  # nosec B105
