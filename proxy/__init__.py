"""Ringfence, a privacy-aware routing proxy: the words it uses and the life of a request.

Words
    route        a pinned `provider/model` id at Opper, one catalogue row
    pool         a bare model name: whichever pooled route the gateway picks
    dimension    one axis of privacy posture (where inference runs, what is kept, who reads it)
    posture      what a route claims on every dimension; a claim that is missing is unknown
    requirement  what a policy asks on one dimension; a finding is how a route came out on it
    attestation  a claim that only a contract can make, with owner, evidence and end date
    dialect      the API that a client speaks: OpenAI, Anthropic, Google, Opper
    journal      the audit log's single writer; a receipt is its word that a record is durable
    revision     policies, attestations, keys, catalogue and tables, loaded and replaced as one

The life of a request (`pipeline.py` carries the same numbers)
    (1) match       which operation of which dialect the raw path names, or 404
    (2) caller      whose key it is, and whether its limits allow one more request
    (3) read        the body's one reading: models asked for, features found; or 400
    (4) candidates  every route that the gateway could take for these models
    (5) decide      every matching policy held against every route, every finding kept
    (6) record      a refusal, or the intent, durable before anything else happens
    (7) forward     the same bytes, with only the ordered rewrites; or the refusal in the SDK's shape
    (8) confirm     what the gateway says served it, before the first byte of the body goes back
    (9) outcome     usage, cost and how it ended, recorded when the last byte has passed

Where things are added
    a posture dimension   core/dimensions/<name>.py and one line in core/dimensions/__init__.py
    an SDK dialect        core/dialects/<name>.py and one line in core/dialects/__init__.py
    an audit sink         sinks/<name>.py and one line in sinks/__init__.py
    what a request feature does to data   a row in tables/effects/<provider>.yaml
"""
