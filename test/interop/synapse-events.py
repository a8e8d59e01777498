"""What Synapse's own code makes of events; asked by synapse-events.test.ts.

Reads one JSON object from stdin: {"server_name", "seed" (Base64), "key_name", "events": [{"version", "event", "signed"}]},
where "event" is the text of an event without hashes and signatures, and "signed" the text of the same event as Hearth
hashed and signed it. Writes a list with one object for each event to stdout. Texts rather than objects, so that numbers
reach Synapse as they are written.
"""

import json
import sys

from canonicaljson import encode_canonical_json
from signedjson.key import decode_signing_key_base64, get_verify_key
from signedjson.sign import SignatureVerifyException, verify_signed_json
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import (
    add_hashes_and_signatures,
    check_event_content_hash,
    compute_event_reference_hash,
)
from synapse.events import make_event_from_dict
from synapse.synapse_rust.events import redact_event_dict
from unpaddedbase64 import encode_base64


def canonical(value):
    return encode_canonical_json(value).decode("utf-8")


def redacted(version, event):
    """Synapse keeps some of `unsigned`, which belongs to no hash and no signature."""
    result = dict(redact_event_dict(version, event))
    result.pop("unsigned", None)
    return result


def judge(case, server_name, key):
    version = KNOWN_ROOM_VERSIONS[case["version"]]

    mine = json.loads(case["event"])
    answer = {"canonical": canonical(mine)}
    add_hashes_and_signatures(version, mine, server_name, key)
    answer["signed"] = canonical(mine)
    answer["redacted"] = canonical(redacted(version, mine))
    event = make_event_from_dict(json.loads(case["event"]) | {"hashes": mine["hashes"], "signatures": {}}, version)
    answer["event_id"] = event.event_id
    answer["reference_hash"] = encode_base64(compute_event_reference_hash(event)[1])

    theirs = json.loads(case["signed"])
    try:
        verify_signed_json(redacted(version, theirs), server_name, get_verify_key(key))
        answer["signature_accepted"] = True
    except SignatureVerifyException as error:
        answer["signature_accepted"] = str(error)
    answer["hash_accepted"] = check_event_content_hash(make_event_from_dict(theirs, version))
    return answer


def main():
    request = json.load(sys.stdin)
    key = decode_signing_key_base64("ed25519", request["key_name"], request["seed"])
    answers = [judge(case, request["server_name"], key) for case in request["events"]]
    json.dump(answers, sys.stdout)


main()
