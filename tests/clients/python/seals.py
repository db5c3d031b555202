"""The seals of an exported log, verified by securesystemslib, an implementation of DSSE that is not ours."""

import base64
import copy
import json

from lotse.exchange.v1 import card_pb2 as cards
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey


def key(public_key, keyid):
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": public_key.hex()})


def verifies(seal, keys):
    """Tells whether a seal bears a good signature by each of the keys."""
    try:
        Envelope.from_dict(copy.deepcopy(seal)).verify(keys, len(keys))
    except VerificationError:
        return False
    return True


class Seals:
    """An export: its cards, checked, and whose keys they name."""

    def __init__(self, export):
        self.export = export
        self.keys = {}
        for path in [export / "agency.card", *sorted((export / "card").glob("*.card"))]:
            seal = json.loads(path.read_text())
            assert seal["payloadType"] == "application/vnd.lotse.card.v1+protobuf", seal["payloadType"]
            card = cards.Card.FromString(base64.b64decode(seal["payload"]))
            root = key(card.root_public_key, seal["signatures"][0]["keyid"])
            assert verifies(seal, [root]), f"{path.name} is not signed by its root key"
            sealing = [each.public_key for each in card.keys if each.use == cards.KEY_USE_SEALING]
            self.keys[card.agency] = sealing[-1]

    def documents(self, kind):
        """Returns the seals of a kind: batch, receipt or agreement."""
        return [json.loads(path.read_text()) for path in sorted(self.export.glob(f"seal/**/*.{kind}.json"))]

    def signers(self, seal):
        """Returns the agencies that a seal names."""
        return [signature["agency"] for signature in seal["signatures"]]

    def sealed_by(self, seal, agencies):
        """Tells whether each of the agencies has sealed, with the key of its card."""
        keyids = {signature["agency"]: signature["keyid"] for signature in seal["signatures"]}
        return verifies(seal, [key(self.keys[agency], keyids.get(agency, "")) for agency in agencies])


def changed(seal):
    """Returns a seal with one bit of its payload flipped."""
    payload = bytearray(base64.b64decode(seal["payload"]))
    payload[len(payload) // 2] ^= 1
    return {**seal, "payload": base64.b64encode(payload).decode()}
