"""An agency's own system as a client of its node: where integrators may start.

`Node` wraps the calls that a case management system (Fachverfahren) needs. The code of the messages is generated from
proto/:

    python -m grpc_tools.protoc -I proto --python_out=generated --grpc_python_out=generated \\
        $(find proto -name '*.proto')

As a program it plays both sides of a referral, with PYTHONPATH=generated:

    python tests/clients/python/lotse_client.py --folder FOLDER refer --to AGENCY    # consent, referral, wait for the outcome
    python tests/clients/python/lotse_client.py --folder FOLDER work                 # receive, accept, complete
"""

import argparse
import datetime
import pathlib
import sys
import time
import uuid

try:
    import grpc
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    from lotse.agency.v1 import consent_service_pb2 as consents
    from lotse.agency.v1 import consent_service_pb2_grpc
    from lotse.agency.v1 import inbox_service_pb2 as inbox
    from lotse.agency.v1 import inbox_service_pb2_grpc
    from lotse.agency.v1 import referral_service_pb2 as referrals
    from lotse.agency.v1 import referral_service_pb2_grpc
    from lotse.record.v1 import code_list_pb2 as codes
    from lotse.record.v1 import consent_pb2 as consent
    from lotse.record.v1 import person_pb2 as person
    from lotse.record.v1 import referral_pb2 as referral
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    sys.exit(
        f"{missing}: set PYTHONPATH to the folder of the code generated from proto/, and use a Python that has grpcio and "
        "grpcio-status (README, \"Exchange by program\")"
    )

DEADLINE_SECONDS = 10
ATTEMPTS = 5


class Refused(Exception):
    """The node said no. Decide by `reason`, never by the sentence."""

    def __init__(self, sentence, reason, metadata):
        super().__init__(f"{sentence} [{metadata.get('reasons', reason)}]")
        self.sentence = sentence
        self.reason = reason
        self.reasons = metadata.get("reasons", reason).split(",")
        self.is_retryable = metadata.get("retryable") == "true"
        self.field = metadata.get("field")


def refusal(error):
    """Returns what a failed call says, or None if it was no answer of the node (broken connection, deadline)."""
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # the library put a status of its own in place of the node's, for instance because that was too long
        return None
    for detail in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "lotse":
            return Refused(status.message, info.reason, dict(info.metadata))
    return None


class Node:
    """The own agency's node, over mutual TLS. Each call may be repeated: keys and ids make that harmless."""

    def __init__(self, address, authority, certificate, key):
        """Connects to host:port with PEM files: the agency's authority, the system's certificate and its key.

        The host must be a name or an address that the node's certificate carries.
        """
        authority, certificate, key = (pathlib.Path(path).read_bytes() for path in (authority, certificate, key))
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        options = [
            ("grpc.max_receive_message_length", 4 << 20),  # the contract's limit
            ("grpc.max_reconnect_backoff_ms", 5_000),
        ]
        self.channel = grpc.secure_channel(address, credentials, options)
        self.consents = consent_service_pb2_grpc.ConsentServiceStub(self.channel)
        self.referrals = referral_service_pb2_grpc.ReferralServiceStub(self.channel)
        self.inbox = inbox_service_pb2_grpc.InboxServiceStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def record_consent(self, given):
        """Records a consent; returns where it stands."""
        return self._call(self.consents.RecordConsent, consents.RecordConsentRequest(consent=given)).state

    def withdraw_consent(self, consent_id):
        """Withdraws a whole consent; nothing is released under it from now on."""
        return self._call(self.consents.WithdrawConsent, consents.WithdrawConsentRequest(consent_id=consent_id))

    def submit(self, handover):
        """Hands a referral over. The node keeps it from now on, and delivers it when the recipient can be reached."""
        return self._call(self.referrals.SubmitReferral, referrals.SubmitReferralRequest(handover=handover)).submitted

    def answer(self, referral_id, key, on, **kind):
        """Answers a received referral, for instance with `accepted=referral.Accepted()`; `on` is the day of which it speaks."""
        answer = referral.ReferralAnswer(on=on.isoformat(), **kind)
        request = referrals.AnswerReferralRequest(idempotency_key=key, referral_id=referral_id, answer=answer)
        return self._call(self.referrals.AnswerReferral, request)

    def thread(self, referral_id):
        """Returns a referral without its content, and the answers to it."""
        return self._call(self.referrals.GetReferral, referrals.GetReferralRequest(referral_id=referral_id))

    def follow(self):
        """Yields the events of the inbox for ever, each at least once.

        What was yielded counts as processed when the next one is asked for; the node remembers how far this system came.
        """
        while True:
            try:
                for response in self.inbox.Watch(inbox.WatchRequest()):
                    yield from response.events
                    self._call(self.inbox.Acknowledge, inbox.AcknowledgeRequest(cursor=response.cursor))
            except grpc.RpcError as error:
                if refused := refusal(error):
                    raise refused from error
            time.sleep(1)  # the node stops, or asks to connect again

    def fetch(self, record_id):
        """Returns a received record with its content, or None if it is gone or not for this system."""
        found = self._call(self.inbox.Fetch, inbox.FetchRequest(record_ids=[record_id])).records
        return found[0] if found else None

    def confirm_import(self, record):
        """Says that this system has stored a fetched record, so that the node's copy may go."""
        self._call(self.inbox.ConfirmImport, inbox.ConfirmImportRequest(import_tokens=[record.import_token]))

    def _call(self, method, request):
        """Calls with a deadline, and repeats what got no answer or may pass later."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return method(request, timeout=DEADLINE_SECONDS)
            except grpc.RpcError as error:
                refused = refusal(error)
                if attempt == ATTEMPTS or (refused and not refused.is_retryable) or not (refused or is_lost(error)):
                    raise (refused or error) from error
            time.sleep(2 ** (attempt - 2))


def is_lost(error):
    """Tells whether a call got no answer: it may have had effect, and is repeated as it is."""
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


# ------------------------------------------------------------------------------------------------------- example content


def example_consent(subject, recipient):
    """A written consent for first orientation, for one year: identity, contact and languages, and the outcome back."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return consent.Consent(
        id=str(uuid.uuid4()),
        subject_reference=subject,
        subject_kind=consent.SUBJECT_KIND_PERSON,
        given_by=consent.GIVEN_BY_SELF,
        capacity=consent.Capacity(age_band=consent.AGE_BAND_ADULT),
        recipients=[recipient],
        purposes=[codes.PURPOSE_ORIENTATION],
        record_kinds=[codes.RECORD_KIND_REFERRAL],
        categories=[codes.CATEGORY_IDENTITY, codes.CATEGORY_CONTACT, codes.CATEGORY_LANGUAGES],
        feedback_level=codes.FEEDBACK_LEVEL_OUTCOME,
        given_at=now,
        expires_at=now + datetime.timedelta(days=365),
        form=codes.CONSENT_FORM_WRITTEN,
        text_language="de",
        text_version="2026-01",
        notices=consent.Notices(purpose=True, consequences_of_refusal=True, right_to_withdraw=True),
        form_sha256="ab" * 32,  # of the scanned form
        recorded_by="mb-17",
    )


def example_handover(key, subject, recipient):
    """A referral of somebody who does not exist."""
    return referrals.ReferralHandover(
        idempotency_key=key,
        recipient=recipient,
        subject_reference=subject,
        referral=referral.Referral(
            type=codes.REFERRAL_TYPE_ORIENTATION_REFUGEE,
            purpose=codes.PURPOSE_ORIENTATION,
            requested_services=[codes.REQUESTED_SERVICE_ORIENTATION, codes.REQUESTED_SERVICE_LANGUAGE_COURSE],
            identity=person.Identity(family_name="Özdemir-Müller", given_names="Jürgen", birth_date="1990-04-01"),
            contact=person.Contact(street="Am Freiheitsplatz 1", postal_code="63450", city="Hanau"),
            languages=person.Languages(
                items=[person.Language(tag="tr", level=person.LANGUAGE_LEVEL_NATIVE)], interpreter_needed=True
            ),
        ),
    )


# ------------------------------------------------------------------------------------------------------------ the program


def refer(node, recipient, subject, with_consent=True):
    """Hands one referral over, says what becomes of it, and returns its last thread."""
    if with_consent:
        given = example_consent(subject, recipient)
        node.record_consent(given)
        print(f"consent {given.id} is recorded")
    submitted = node.submit(example_handover(f"example-{uuid.uuid4()}", subject, recipient))
    print(f"referral {submitted.referral_id} is handed over to the own node")
    print(f"waiting for the outcome: a system of {recipient} has to receive and answer it, as `work` does there", flush=True)
    for event in node.follow():
        if event.referral_id != submitted.referral_id:
            continue
        match event.WhichOneof("kind"):
            case "delivery_changed":
                print("delivery:", referrals.DeliveryState.Name(event.delivery_changed.delivery))
                if event.delivery_changed.delivery in (referrals.DELIVERY_STATE_REFUSED, referrals.DELIVERY_STATE_ENDED):
                    break
            case "answer_received":
                print("answer:", referrals.ReferralState.Name(event.answer_received.state))
                if event.answer_received.state in (referrals.REFERRAL_STATE_COMPLETED, referrals.REFERRAL_STATE_DECLINED):
                    break
    return node.thread(submitted.referral_id)


def work(node):
    """Receives referrals, stores them (here: prints them), accepts and completes each; yields their ids."""
    for event in node.follow():
        if event.WhichOneof("kind") != "referral_received":
            continue
        record = node.fetch(event.referral_id)
        if record is None:
            continue
        who = record.referral.identity
        print(f"referral {record.record_id} from {record.owner}: {who.given_names} {who.family_name}, {who.birth_date}")
        node.confirm_import(record)
        # Key and day come from record and event, so that an event that comes again answers nothing twice.
        on = event.at.ToDatetime().date()
        node.answer(record.record_id, f"{record.record_id}-accepted", on, accepted=referral.Accepted())
        completed = referral.Completed()
        if record.feedback_level >= codes.FEEDBACK_LEVEL_OUTCOME:
            completed.outcome = codes.OUTCOME_COUNSELLING_DONE
        node.answer(record.record_id, f"{record.record_id}-completed", on, completed=completed)
        print(f"referral {record.record_id} is accepted and completed")
        yield record.record_id


def main():
    parser = argparse.ArgumentParser(description="An agency's system, as an example.")
    parser.add_argument("--address", default="127.0.0.1:8444", help="agency port of the node, host:port")
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="the node's folder, with the certificates")
    parser.add_argument("--system", default="akte", help="which system's certificate to use")
    commands = parser.add_subparsers(dest="command", required=True)
    sending = commands.add_parser("refer", help="record a consent, hand a referral over, wait for its outcome")
    sending.add_argument("--to", required=True, metavar="AGENCY", help="agency id of the recipient")
    sending.add_argument("--subject", default="fall-2026-0815", help="the agency's own reference of the person")
    sending.add_argument("--without-consent", action="store_true", help="record none, to see the refusal")
    working = commands.add_parser("work", help="receive referrals, accept and complete them, until interrupted")
    working.add_argument("--once", action="store_true", help="stop after the first")
    arguments = parser.parse_args()

    issued = arguments.folder / "pki" / "issued" / f"system-{arguments.system}"
    files = (arguments.folder / "pki" / "ca.crt", f"{issued}.crt", f"{issued}.key")
    try:
        opened = Node(arguments.address, *files)
    except OSError as error:
        sys.exit(
            f"cannot read {error.filename}: {error.strerror}; --folder names the node's folder, --system one of its systems: "
            f"`lotse cert list --folder {arguments.folder}` shows them"
        )
    with opened as node:
        try:
            if arguments.command == "refer":
                refer(node, arguments.to, arguments.subject, not arguments.without_consent)
            else:
                for _ in work(node):
                    if arguments.once:
                        break
        except Refused as refused:
            sys.exit(f"refused: {refused}")
        except grpc.RpcError as error:
            sys.exit(f"no answer from {arguments.address}: {error.details()}")
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
