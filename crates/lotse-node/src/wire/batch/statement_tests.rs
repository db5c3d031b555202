use super::*;

fn sent() -> BatchStatement {
    BatchStatement {
        batch_id: Id::from_bytes([1; 16]),
        sender: "jc.example".parse().unwrap(),
        recipient: "aa.example".parse().unwrap(),
        created_at: "2026-11-02T08:00:00Z".parse().unwrap(),
        count: 1,
        root: Digest::of(b"root"),
    }
}

fn receipt() -> ReceiptStatement {
    let sent = sent();
    ReceiptStatement {
        receiver: sent.recipient,
        sender: sent.sender,
        batch_id: sent.batch_id,
        batch_root: sent.root,
        taken_at: sent.created_at,
        count: sent.count,
        items_root: Digest::of(b"items"),
        number: Sequence::new(1, 1),
        receiver_generation: 1,
        sender_generation: 1,
    }
}

#[test]
fn a_receipt_answers_one_batch_at_a_time_that_was_between_sending_and_recording() {
    let (now, counts) = (sent().created_at, |_| true);
    let edge = |receipt: ReceiptStatement| receipt.objection(&sent(), now, counts);
    assert_eq!(edge(receipt()), None);
    assert_eq!(edge(ReceiptStatement { taken_at: now.plus(CLOCKS_APART), ..receipt() }), None);
    assert_eq!(edge(ReceiptStatement { taken_at: now.minus(CLOCKS_APART), ..receipt() }), None);
    let microsecond = Duration::from_micros(1);
    for bad in [
        ReceiptStatement { receiver: "cc.example".parse().unwrap(), ..receipt() },
        ReceiptStatement { sender: "cc.example".parse().unwrap(), ..receipt() },
        ReceiptStatement { batch_id: Id::from_bytes([2; 16]), ..receipt() },
        ReceiptStatement { batch_root: Digest::of(b"other"), ..receipt() },
        ReceiptStatement { count: 2, ..receipt() },
        ReceiptStatement { taken_at: now.plus(CLOCKS_APART + microsecond), ..receipt() },
        ReceiptStatement { taken_at: now.minus(CLOCKS_APART + microsecond), ..receipt() },
    ] {
        assert!(edge(bad.clone()).is_some(), "{bad:?}");
    }
    assert!(receipt().objection(&sent(), now, |_| false).is_some(), "its key must have counted then");
}

#[test]
fn a_statement_out_of_bounds_is_malformed_under_a_good_seal() {
    let key = SigningKey::from_seed([7; 32]);
    let keys = [key.public()];
    assert_eq!(open_batch(&seal_batch(&sent(), &key), &keys), Ok(sent()));
    assert_eq!(open_receipt(&seal_receipt(&receipt(), &key), &keys), Ok(receipt()));
    let at = Timestamp::from_micros;
    for bad in [
        BatchStatement { batch_id: Id::NIL, ..sent() },
        BatchStatement { created_at: at(-1), ..sent() },
        BatchStatement { created_at: at(1 << 62), ..sent() },
    ] {
        assert_eq!(open_batch(&seal_batch(&bad, &key), &keys), Err(SealFault::Malformed), "{bad:?}");
    }
    for bad in [
        ReceiptStatement { batch_id: Id::NIL, ..receipt() },
        ReceiptStatement { taken_at: at(i64::MAX), ..receipt() },
        ReceiptStatement { taken_at: at(0), ..receipt() },
        ReceiptStatement { number: Sequence::new(1, 0), ..receipt() },
        ReceiptStatement { receiver_generation: 99, ..receipt() },
    ] {
        assert_eq!(open_receipt(&seal_receipt(&bad, &key), &keys), Err(SealFault::Malformed), "{bad:?}");
    }
}
