"""A stand-in for the OAs that a hospital may have already: Landray EKP, Weaver e-cology, Seeyon A8, and a plain one.

`state.State` is everything they know, in memory; `app.create_app(state)` serves them all at one address;
`server.running(state)` runs that in a thread. Each OA is a module of the same name that turns a request into a call,
and a `Desk` of rows that people's lists show. `gate` lets faults happen. Their contracts are public; where those say
nothing the stand-in does what is worst for a client.
"""
