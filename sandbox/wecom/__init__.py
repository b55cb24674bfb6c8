"""A stand-in for WeCom (企业微信): its server API, its callbacks, its login pages, all in memory.

`state.State` is everything it knows; `app.create_app(state)` serves it; `server.running(state)` runs that in a thread;
`remote.Remote` is the control API for tests.
"""
