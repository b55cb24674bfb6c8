"""WeCom's contacts (通讯录): brought into step as a whole (`syncing`) or as events tell (`events`).

`matching` and `tree` compute the `difference` from values alone; `admin` is what system admins see and say.
"""
