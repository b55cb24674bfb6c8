"""Letting in who comes from an OA's list (单点登录), by the OA's proof of who they are."""
