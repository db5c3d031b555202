"""Two agencies' systems exchange a referral through real nodes: `story.py LOTSE FOLDER`, called by `run`."""

import contextlib
import datetime
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
import uuid

import grpc
import lotse_client as client
import seals
from lotse.agency.v1 import referral_service_pb2 as referrals
from lotse.record.v1 import code_list_pb2 as codes
from lotse.record.v1 import referral_pb2 as referral

PATIENCE_SECONDS = 60
LOTSE, PLACE = sys.argv[1], pathlib.Path(sys.argv[2])


class Agency:
    """An agency with its node on loopback."""

    def __init__(self, id, name, kind):
        self.id, self.kind, self.folder = id, kind, PLACE / id
        self.peer, self.address = (f"127.0.0.1:{free_port()}" for _ in range(2))
        printed = self.lotse(
            *("init", "--agency", id, "--name", name, "--kind", kind, "--system", "akte", "--allow-loopback"),
            *("--peer-address", self.peer, "--listen-peer", self.peer, "--listen-agency", self.address),
        )
        self.fingerprint = re.search(r"Fingerprint of its root key: +([\d ]+)", printed)[1].strip()
        self.log = open(PLACE / f"{id}.log", "ab")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [LOTSE, "run", "--folder", self.folder], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        eventually(f"{self.id} runs", lambda: (self.folder / "run" / "ports.toml").exists() or self.process.poll())

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)

    def lotse(self, *arguments):
        """Runs a command about this agency's folder; returns what it prints."""
        done = subprocess.run([LOTSE, *arguments, "--folder", self.folder], capture_output=True, text=True)
        assert done.returncode == 0, f"lotse {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def card(self):
        path = PLACE / f"{self.id}.card"
        self.lotse("peer", "card", "--out", path)
        return path

    def system(self, name="akte"):
        """Connects as the agency's system."""
        issued = self.folder / "pki" / "issued" / f"system-{name}"
        return client.Node(self.address, self.folder / "pki" / "ca.crt", f"{issued}.crt", f"{issued}.key")


def federate(first, second):
    """Cards accepted, an agreement from today offered by the first and sealed by both."""
    first.lotse("peer", "accept", second.card(), "--fingerprint", second.fingerprint)
    second.lotse("peer", "accept", first.card(), "--fingerprint", first.fingerprint)
    text = PLACE / "agreement.toml"
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    first.lotse("agreement", "new", "--party", f"{second.card()}={second.kind}", "--from", today, "--out", text)
    offered = first.lotse("agreement", "offer", text)
    agreement = re.search(r"agreement +([0-9a-f-]{36})", offered)[1]
    eventually("the offer arrives", lambda: agreement in second.lotse("agreement", "list"))
    for agency in (second, first):
        digest = re.search(r"digest +([0-9a-f]{64})", agency.lotse("agreement", "show", agreement))[1]
        agency.lotse("agreement", "sign", agreement, "--digest", digest)
    for agency in (second, first):
        eventually("the agreement is in force", lambda: "in force\n" in agency.lotse("agreement", "status", agreement))


# --------------------------------------------------------------------------------------------------------------- the story


def a_referral_goes_there_and_its_outcome_comes_back(jobcenter, employment):
    with jobcenter.system() as sender, employment.system() as receiver:
        receiving = threading.Thread(target=lambda: next(client.work(receiver)), daemon=True)
        receiving.start()
        thread = client.refer(sender, employment.id, "fall-1")
        receiving.join(PATIENCE_SECONDS)
        assert thread.summary.state == referrals.REFERRAL_STATE_COMPLETED, thread
        assert [event.answer.WhichOneof("kind") for event in thread.events] == ["accepted", "completed"], thread
        assert thread.events[1].answer.completed.outcome == codes.OUTCOME_COUNSELLING_DONE, thread
        received = receiver.thread(thread.summary.referral_id)
        assert received.summary.state == referrals.REFERRAL_STATE_COMPLETED, received
        assert received.summary.subject_ref not in ("", "fall-1"), "the own reference of the person never leaves the node"


def who_hands_over_is_told_that_an_answer_is_waited_for(jobcenter, employment):
    command = program("--folder", jobcenter.folder, "--address", jobcenter.address, "refer", "--to", employment.id)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        told = [sender.stdout.readline() for _ in range(3)]
        sender.kill()
    assert f"waiting for the outcome: a system of {employment.id} has to receive and answer it" in told[2], told


def the_program_says_what_it_needs_to_begin(jobcenter, _):
    refer = ("refer", "--to", "aa.example")
    for folder, system in [(jobcenter.folder / "wrong", "akte"), (jobcenter.folder, "wrong")]:
        command = program("--folder", folder, "--system", system, *refer)
        told = subprocess.run(command, capture_output=True, text=True)
        assert told.returncode == 1 and told.stderr.startswith("cannot read ") and "cert list" in told.stderr, told.stderr
    command = program("--folder", jobcenter.folder, *refer)
    told = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert told.returncode == 1 and "set PYTHONPATH to the folder" in told.stderr, told.stderr
    assert "Traceback" not in told.stderr, told.stderr


def the_receiver_reads_what_was_sent_and_no_more(jobcenter, employment):
    handover = client.example_handover("key-2", "fall-2", employment.id)
    with jobcenter.system() as sender, employment.system() as receiver:
        sender.record_consent(client.example_consent("fall-2", employment.id))
        id = sender.submit(handover).referral_id
        record = eventually("the referral arrives", lambda: receiver.fetch(id))
        assert record.owner == jobcenter.id and record.referral.identity == handover.referral.identity, record.owner
        assert codes.CATEGORY_HEALTH not in record.categories and record.import_token


def the_same_key_hands_over_once(jobcenter, employment):
    with jobcenter.system() as sender:
        sender.record_consent(client.example_consent("fall-3", employment.id))
        handover = client.example_handover("key-3", "fall-3", employment.id)
        first, again = sender.submit(handover), sender.submit(handover)
        assert not first.repeated_key and again.repeated_key and first.referral_id == again.referral_id
        handover.referral.urgency = codes.URGENCY_URGENT
        refused = refusal_of(lambda: sender.submit(handover))
        assert not refused.is_retryable, refused


def a_refusal_names_its_reason(jobcenter, employment):
    with jobcenter.system() as sender:
        refused = refusal_of(lambda: sender.submit(client.example_handover("key-4", "nobody", employment.id)))
        assert refused.reason == "NO_CONSENT" and not refused.is_retryable, refused
        malformed = client.example_handover("key-5", "fall-1", employment.id)
        malformed.referral.identity.birth_date = "1.4.1990"
        refused = refusal_of(lambda: sender.submit(malformed))
        assert refused.field.endswith("identity.birth_date") and "1.4.1990" not in refused.sentence, refused
        for number in range(50):
            malformed.referral.education.items.add(title="x", country="Syrien", completed_on="1999")
            malformed.referral.work_history.items.add(occupation="Koch", kldb="123", country="Deutschland")
        refused = refusal_of(lambda: sender.submit(malformed))
        assert refused.reasons == ["FIELD_INVALID"] and " more" in refused.sentence, refused
        assert "education.items[0].country" in refused.sentence, refused


def a_withdrawn_consent_covers_nothing_more(jobcenter, employment):
    with jobcenter.system() as sender:
        given = client.example_consent("fall-6", employment.id)
        sender.record_consent(given)
        sender.withdraw_consent(given.id)
        refused = refusal_of(lambda: sender.submit(client.example_handover("key-6", "fall-6", employment.id)))
        assert "CONSENT_WITHDRAWN" in refused.reasons, refused


def what_is_handed_over_while_the_recipient_is_down_arrives_later(jobcenter, employment):
    assert employment.stop() == 0
    with jobcenter.system() as sender:
        sender.record_consent(client.example_consent("fall-7", employment.id))
        id = sender.submit(client.example_handover("key-7", "fall-7", employment.id)).referral_id
        employment.start()
        taken = lambda: sender.thread(id).summary.state == referrals.REFERRAL_STATE_RECEIVED
        eventually("the referral is taken", taken)
        with employment.system() as receiver:
            on = datetime.datetime.now(datetime.timezone.utc).date()
            declined = referral.Declined(reason=codes.DECLINE_REASON_NO_CAPACITY)
            receiver.answer(id, str(uuid.uuid4()), on, declined=declined)
        eventually("the answer", lambda: sender.thread(id).summary.state == referrals.REFERRAL_STATE_DECLINED)


def a_system_without_a_grant_may_call_nothing(jobcenter, employment):
    jobcenter.lotse("cert", "issue", "--role", "system", "portal")
    with jobcenter.system("portal") as portal:
        refused = refusal_of(lambda: portal.record_consent(client.example_consent("fall-8", employment.id)))
        assert not refused.is_retryable, refused


def a_certificate_of_another_agency_gets_no_connection(jobcenter, employment):
    issued = employment.folder / "pki" / "issued" / "system-akte"
    files = (jobcenter.folder / "pki" / "ca.crt", f"{issued}.crt", f"{issued}.key")
    with client.Node(jobcenter.address, *files) as foreign:
        request = referrals.GetReferralRequest(referral_id=str(uuid.uuid4()))
        try:
            foreign.referrals.GetReferral(request, timeout=client.DEADLINE_SECONDS)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        else:
            raise AssertionError("the node answered a certificate of another agency")


def the_exported_seals_verify_with_securesystemslib(jobcenter, employment):
    jobcenter.lotse("cert", "issue", "--role", "officer", "default")
    export = PLACE / "export"
    jobcenter.lotse("log", "export", "--out", export)
    verified = subprocess.run(
        [LOTSE, "verify", export, "--fingerprint", jobcenter.fingerprint], capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    exported = seals.Seals(export)
    assert sorted(exported.keys) == sorted([jobcenter.id, employment.id]), exported.keys
    batches, receipts, agreements = (exported.documents(kind) for kind in ("batch", "receipt", "agreement"))
    assert len(batches) == len(receipts) > 0 and len(agreements) == 1, (len(batches), len(receipts), len(agreements))
    expected = [(batches, [jobcenter.id]), (receipts, [employment.id]), (agreements, [jobcenter.id, employment.id])]
    for documents, agencies in expected:
        for seal in documents:
            assert sorted(exported.signers(seal)) == sorted(agencies), seal["signatures"]
            assert exported.sealed_by(seal, agencies), "a seal does not verify"
            assert not exported.sealed_by(seals.changed(seal), agencies), "a changed seal verifies"
    anothers = seals.key(exported.keys[employment.id], batches[0]["signatures"][0]["keyid"])
    assert not seals.verifies(batches[0], [anothers]), "a seal verifies with another agency's key"


def both_logs_verify(jobcenter, employment):
    for agency in (jobcenter, employment):
        assert agency.stop() == 0, "the node ends with 0 on SIGTERM"
        assert "Everything is as it was written." in agency.lotse("log", "verify")
    assert "NO_CONSENT" in jobcenter.lotse("log", "list", "--refused")


STORY = [
    a_referral_goes_there_and_its_outcome_comes_back,
    who_hands_over_is_told_that_an_answer_is_waited_for,
    the_program_says_what_it_needs_to_begin,
    the_receiver_reads_what_was_sent_and_no_more,
    the_same_key_hands_over_once,
    a_refusal_names_its_reason,
    a_withdrawn_consent_covers_nothing_more,
    what_is_handed_over_while_the_recipient_is_down_arrives_later,
    a_system_without_a_grant_may_call_nothing,
    a_certificate_of_another_agency_gets_no_connection,
    the_exported_seals_verify_with_securesystemslib,
    both_logs_verify,
]

# ------------------------------------------------------------------------------------------------------------------- tools


def program(*arguments):
    """The client as a program."""
    return [sys.executable, client.__file__, *map(str, arguments)]


def refusal_of(call):
    """Returns the refusal that a call ends with."""
    try:
        answer = call()
    except client.Refused as refused:
        return refused
    raise AssertionError(f"not refused: {answer}")


def eventually(what, holds):
    """Waits until something holds that other programs bring about; returns it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (result := holds()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.1)
    return result


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    agencies = []
    failed = 0
    try:
        for agency in [
            ("jc-hanau.hessen.example", "Jobcenter Hanau", "jobcenter_ge"),
            ("aa-hanau.hessen.example", "Agentur für Arbeit Hanau", "employment_agency"),
        ]:
            agencies.append(Agency(*agency))
        federate(*agencies)
        for chapter in STORY:
            try:
                chapter(*agencies)
                print(f"ok      {chapter.__name__}")
            except Exception:
                failed += 1
                traceback.print_exc()
                print(f"FAILED  {chapter.__name__}")
    except Exception:
        traceback.print_exc()
        failed = len(STORY)
    finally:
        for agency in agencies:
            if agency.process.poll() is None:
                agency.process.kill()
                agency.process.wait()
            if failed:
                print(f"---- what the node of {agency.id} said\n{(PLACE / f'{agency.id}.log').read_text()}")
    print(f"{len(STORY) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
