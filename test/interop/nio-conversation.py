"""
Two people with three devices talk through a homeserver by matrix-nio, end-to-end encrypted.

Arguments: the homeserver's base URL, an empty folder for the devices' keys, the file that the findings go to as JSON.
Every answer that nio takes for an error, or cannot read, ends it.
"""

import asyncio
import io
import json
import os
import sys
from urllib.parse import quote

from nio import (
    AsyncClient,
    AsyncClientConfig,
    EnableEncryptionBuilder,
    MegolmEvent,
    RoomMessageText,
    RoomPreset,
)
from nio.crypto.attachments import decrypt_attachment

BASE_URL, FOLDER, FINDINGS = sys.argv[1:4]
SYNCS = 20
PICTURE = bytes(range(256)) * 40


def good(response):
    if "Error" in type(response).__name__:
        raise RuntimeError(f"{type(response).__name__}: {response}")
    return response


class Device:
    """A client that keeps its keys in a folder of its own and what it has heard in a list."""

    def __init__(self, name, store, device_id=None):
        folder = os.path.join(FOLDER, store)
        os.makedirs(folder, exist_ok=True)
        config = AsyncClientConfig(store_sync_tokens=True, encryption_enabled=True)
        self.client = AsyncClient(BASE_URL, name, device_id=device_id, store_path=folder, config=config)
        self.heard = []
        self.client.add_event_callback(self._hear, (RoomMessageText, MegolmEvent))

    def _hear(self, _room, event):
        self.heard.append(
            {"sender": event.sender, "body": getattr(event, "body", None), "decrypted": getattr(event, "decrypted", False)}
        )

    async def start(self):
        """Uploads the keys of a device that has just come to be."""
        if self.client.olm is None:
            self.client.load_store()
        good(await self.client.keys_upload())
        await self.sync(full_state=True)

    async def sync(self, **options):
        good(await self.client.sync(**{"timeout": 0, **options}))
        if self.client.should_upload_keys:
            good(await self.client.keys_upload())
        if self.client.should_query_keys:
            good(await self.client.keys_query())

    async def until(self, what, find):
        for _ in range(SYNCS):
            found = find()
            if found:
                return found
            await self.sync(timeout=2_000)
        raise RuntimeError(f"{self.client.user_id} {self.client.device_id}: no {what}; heard {self.heard}")

    async def until_heard(self, body):
        return await self.until(body, lambda: next((one for one in self.heard if one["body"] == body), None))

    async def say(self, room_id, body):
        content = {"msgtype": "m.text", "body": body}
        sent = await self.client.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True)
        return good(sent).event_id


async def main():
    found = {}
    alice = Device("alice", "alice")
    bob = Device("bob", "bob")
    for device, name in ((alice, "alice"), (bob, "bob")):
        good(await device.client.register(name, f"a long password of {name}", "first"))
        await device.start()
    found["users"] = [alice.client.user_id, bob.client.user_id]
    found["whoami"] = good(await bob.client.whoami()).user_id

    # A room and who is in it.
    created = await alice.client.room_create(
        name="Kitchen",
        topic="What to eat",
        preset=RoomPreset.trusted_private_chat,
        invite=[bob.client.user_id],
        initial_state=[EnableEncryptionBuilder().as_dict()],
    )
    room_id = good(created).room_id
    await bob.until("invite", lambda: room_id in bob.client.invited_rooms)
    good(await bob.client.join(room_id))
    await bob.until("room", lambda: room_id in bob.client.rooms)
    await alice.until("room", lambda: room_id in alice.client.rooms)
    users = alice.client.rooms[room_id].users
    await alice.until("member", lambda: bob.client.user_id in users and not users[bob.client.user_id].invited)
    room = bob.client.rooms[room_id]
    found["room"] = {
        "name": room.name,
        "topic": room.topic,
        "encrypted": room.encrypted,
        "members": sorted(room.users),
        "power": room.power_levels.users.get(bob.client.user_id),
    }
    found["joinedRooms"] = [good(await one.client.joined_rooms()).rooms == [room_id] for one in (alice, bob)]
    found["joinedMembers"] = sorted(one.user_id for one in good(await bob.client.joined_members(room_id)).members)

    # Messages both ways.
    hello = await alice.say(room_id, "soup?")
    found["bobHeard"] = await bob.until_heard("soup?")
    await bob.say(room_id, "soup!")
    found["aliceHeard"] = await alice.until_heard("soup!")
    # Asked for without nio's decryption.
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/event/{quote(hello)}"
    raw = await bob.client.send("GET", path, headers={"Authorization": f"Bearer {bob.client.access_token}"})
    found["onTheServer"] = (await raw.json())["type"]
    await bob.until_heard("soup!")
    # nio decrypts what it gets of the history by itself.
    history = good(await bob.client.room_messages(room_id, start=bob.client.next_batch, limit=2))
    found["history"] = [getattr(one, "body", type(one).__name__) for one in history.chunk]

    # Typing and receipts.
    good(await bob.client.room_typing(room_id, True, timeout=30_000))
    await alice.until("typing", lambda: alice.client.rooms[room_id].typing_users == [bob.client.user_id])
    good(await bob.client.room_typing(room_id, False))
    await alice.until("end of typing", lambda: alice.client.rooms[room_id].typing_users == [])
    good(await bob.client.update_receipt_marker(room_id, hello))
    good(await bob.client.room_read_markers(room_id, hello, hello))
    receipts = alice.client.rooms[room_id].read_receipts
    receipt = await alice.until("receipt", lambda: receipts.get(bob.client.user_id))
    found["receipt"] = receipt.event_id == hello
    await bob.until("fully read marker", lambda: bob.client.rooms[room_id].fully_read_marker == hello)

    # Media, plain and encrypted.
    uploaded, _ = await alice.client.upload(io.BytesIO(PICTURE), "image/png", "soup.png", filesize=len(PICTURE))
    downloaded = good(await bob.client.download(good(uploaded).content_uri))
    found["media"] = [downloaded.body == PICTURE, downloaded.content_type, downloaded.filename]
    uploaded, keys = await alice.client.upload(
        io.BytesIO(PICTURE), "image/png", "soup.png", encrypt=True, filesize=len(PICTURE)
    )
    sealed = good(await bob.client.download(good(uploaded).content_uri)).body
    opened = decrypt_attachment(sealed, keys["key"]["k"], keys["hashes"]["sha256"], keys["iv"])
    found["sealedMedia"] = [sealed != PICTURE, opened == PICTURE]
    found["uploadSize"] = good(await bob.client.content_repository_config()).upload_size

    # Profiles.
    good(await alice.client.set_displayname("Alice A."))
    good(await alice.client.set_avatar(uploaded.content_uri))
    profile = good(await bob.client.get_profile(alice.client.user_id))
    found["profile"] = [profile.displayname, profile.avatar_url == uploaded.content_uri]
    members = bob.client.rooms[room_id]
    await bob.until("new name", lambda: members.user_name(alice.client.user_id) == "Alice A.")

    # A second device of bob's gets what is said from then on.
    phone = Device(bob.client.user_id, "phone")
    good(await phone.client.login("a long password of bob", device_name="phone"))
    await phone.start()
    devices = good(await bob.client.devices()).devices
    found["devices"] = sorted(one.display_name for one in devices)
    theirs = alice.client.device_store[bob.client.user_id]
    await alice.until("second device", lambda: phone.client.device_id in theirs)
    await alice.say(room_id, "with bread?")
    found["phoneHeard"] = await phone.until_heard("with bread?")
    await bob.until_heard("with bread?")

    # The first one, started anew from what it has kept, goes on; it hears the second as well.
    user_id, device_id, token = bob.client.user_id, bob.client.device_id, bob.client.access_token
    await bob.client.close()
    again = Device(user_id, "bob", device_id)
    again.client.restore_login(user_id, device_id, token)
    await again.sync(full_state=True)
    await phone.say(room_id, "with butter!")
    found["againHeard"] = await again.until_heard("with butter!")
    await alice.until_heard("with butter!")

    # Logged out, the second device is gone for all.
    good(await phone.client.logout())
    found["afterLogout"] = [one.display_name for one in good(await again.client.devices()).devices]
    good(await again.client.room_leave(room_id))
    good(await again.client.room_forget(room_id))
    found["afterLeave"] = good(await again.client.joined_rooms()).rooms

    for device in (alice, phone, again):
        await device.client.close()
    with open(FINDINGS, "w", encoding="utf-8") as file:
        json.dump(found, file)


asyncio.run(main())
