"""WeCom (企业微信): cards and messages, entry without a password, people in step.

`client` is the only module that imports wechatpy. What is sent is decided from the rows as they are when it is sent.
"""
