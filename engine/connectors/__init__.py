"""Connectors to outside systems: WeCom (企业微信); each is a package of one shape, and none knows another."""
