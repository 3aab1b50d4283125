"""What schemathesis does not know by itself: `SCHEMATHESIS_HOOKS` names this file."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context: object, value: object) -> bytes:
    """Lines as they are; whatever stands in their place where they are meant to be wrong, as JSON."""
    return (value if isinstance(value, str) else json.dumps(value)).encode(errors="surrogatepass")
