"""Asks Synapse's own code for verdicts of the authorization rules and for state resolutions.

Reads {"rooms": [...], "questions": [...]} from the file named first, writes the answers to the one named second.
See synapse-auth.test.ts, which says what goes in and out.
"""

import asyncio
import itertools
import json
import sys

from synapse.api.errors import SynapseError
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, StateResolutionVersions
from synapse.event_auth import (
    check_state_dependent_auth_rules,
    check_state_independent_auth_rules,
)
from synapse.events import make_event_from_dict
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference


class Store:
    """The events of one room, all of them persisted."""

    def __init__(self, events):
        self.events = events

    async def get_events(self, event_ids, *args, **kwargs):
        return {i: self.events[i] for i in event_ids if i in self.events}

    def chain(self, event_ids):
        """The full auth chain; holds the events themselves, as Synapse's tables do."""
        found, waiting = set(), list(event_ids)
        while waiting:
            event_id = waiting.pop()
            if event_id in found or event_id not in self.events:
                continue
            found.add(event_id)
            waiting.extend(self.events[event_id].auth_event_ids())
        return found

    async def get_auth_chain_difference(self, room_id, state_sets, conflicted, additional):
        chains = [self.chain(ids) for ids in state_sets]
        difference = set.union(*chains) - set.intersection(*chains)
        if conflicted is None:
            return StateDifference(auth_difference=difference, conflicted_subgraph=None)
        below = self.chain(conflicted)
        subgraph = {i for i in below if self.chain([i]) & conflicted}
        return StateDifference(auth_difference=difference, conflicted_subgraph=subgraph)


class NothingStored(Store):
    """A store that holds nothing yet: Synapse then works out the auth difference by itself, from events in flight."""

    async def get_auth_chain_difference(self, room_id, state_sets, conflicted, additional):
        return StateDifference(auth_difference=set(), conflicted_subgraph=set())


class Clock:
    async def sleep(self, duration):
        return None


def events_of(version, pdus):
    events = [make_event_from_dict(pdu, version) for pdu in pdus]
    return {event.event_id: event for event in events}


def verdict(event, state):
    try:
        check_state_dependent_auth_rules(event, state)
        return True
    except SynapseError:
        return False


async def independent_verdict(event, store):
    try:
        await check_state_independent_auth_rules(store, event)
        return True
    except SynapseError:
        return False


async def resolve(version, room_id, states, events, in_flight):
    if version.state_res == StateResolutionVersions.V1:
        return await v1.resolve_events_with_store(room_id, version, states, dict(events), Store(events).get_events)
    if in_flight:
        return await v2.resolve_events_with_store(
            Clock(), room_id, version, states, dict(events), NothingStored(events)
        )
    return await v2.resolve_events_with_store(Clock(), room_id, version, states, {}, Store(events))


async def answer_room(room):
    version = KNOWN_ROOM_VERSIONS[room["version"]]
    events = events_of(version, room["events"])
    resolutions = []
    for question in room["resolutions"]:
        states = [{(t, k): i for t, k, i in state} for state in question["states"]]
        resolved = await resolve(version, room["room_id"], states, events, question["in_flight"])
        resolutions.append(sorted([t, k, i] for (t, k), i in resolved.items()))
    verdicts = []
    for question in room["proposals"]:
        event = make_event_from_dict(question["event"], version)
        allowed = (
            await independent_verdict(event, Store(events))
            and verdict(event, [events[i] for i in event.auth_event_ids()])
            and verdict(event, [events[i] for i in question["state"]])
        )
        verdicts.append([event.event_id, allowed])
    return {"ids": list(events), "resolutions": resolutions, "verdicts": verdicts}


def answer_question(question):
    version = KNOWN_ROOM_VERSIONS[question["version"]]
    event = make_event_from_dict(question["event"], version)
    state = [make_event_from_dict(pdu, version) for pdu in question["state"]]
    return [event.event_id, verdict(event, state)]


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        asked = json.load(file)
    answers = {
        "rooms": [await answer_room(room) for room in asked["rooms"]],
        "questions": [answer_question(question) for question in asked["questions"]],
    }
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(answers, file)


asyncio.run(main())
