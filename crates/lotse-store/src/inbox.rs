//! The inbox: what happened at the node that the agency's systems should know. One row per batch; what each system may see of
//! it is decided when it is read.

use lotse_core::id::{AgencyId, Id};
use lotse_core::time::Timestamp;

use crate::engine::{Row, StoreError, Tx, readable};

/// What a row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// Records of a peer were taken: their ids are those of custody rows.
    Received = 1,
    /// Deliveries ended: the ids are those of outbox rows.
    Delivered = 2,
}

/// One row of the inbox.
#[derive(Clone, Debug)]
pub struct Event {
    /// Place in the order: the cursor behind it.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What it tells.
    pub kind: EventKind,
    /// The other agency.
    pub peer: AgencyId,
    /// Record ids.
    pub items: Vec<Id>,
}

/// Appends a row; the caller has taken its number from [`crate::counter::Counter::Event`].
pub async fn append(tx: &mut Tx, event: &Event) -> Result<(), StoreError> {
    let items: Vec<u8> = event.items.iter().flat_map(|id| *id.as_bytes()).collect();
    tx.execute(
        "INSERT INTO inbox_event (seq, at, kind, peer, items) VALUES ($1, $2, $3, $4, $5)",
        [(event.seq as i64).into(), event.at.into(), (event.kind as i64).into(), (&event.peer).into(), items.into()],
    )
    .await
    .map(|_| ())
}

/// Reads rows after a cursor, in order.
pub async fn after(tx: &mut Tx, cursor: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
    let sql = "SELECT seq, at, kind, peer, items FROM inbox_event WHERE seq > $1 ORDER BY seq LIMIT $2";
    let cursor = cursor.min(i64::MAX as u64) as i64;
    let rows = tx.fetch(sql, [cursor.into(), limit.into()]).await?;
    Ok(readable(&rows, 0, event).rows)
}

fn event(row: &Row) -> Result<Event, StoreError> {
    let kind = match row.get::<i64>(2)? {
        1 => EventKind::Received,
        2 => EventKind::Delivered,
        _ => return Err(StoreError::Value("kind of an inbox event")),
    };
    let bytes: Vec<u8> = row.get(4)?;
    let items = bytes.as_chunks::<16>().0.iter().map(|id| Id::from_bytes(*id)).collect();
    Ok(Event { seq: row.get(0)?, at: row.get(1)?, kind, peer: row.get(3)?, items })
}

/// Reads the cursor that a system has acknowledged.
pub async fn cursor(tx: &mut Tx, system: &str) -> Result<u64, StoreError> {
    let row = tx.fetch_optional("SELECT cursor FROM inbox_cursor WHERE system = $1", [system.into()]).await?;
    row.map_or(Ok(0), |row| row.get(0))
}

/// Raises the cursor that a system has acknowledged; a lower one changes nothing. Returns what is stored.
pub async fn acknowledge(tx: &mut Tx, system: &str, cursor: u64) -> Result<u64, StoreError> {
    let row = tx
        .fetch_one(
            "INSERT INTO inbox_cursor (system, cursor) VALUES ($1, $2) ON CONFLICT (system) DO UPDATE
             SET cursor = CASE WHEN excluded.cursor > inbox_cursor.cursor THEN excluded.cursor ELSE inbox_cursor.cursor END
             RETURNING cursor",
            [system.into(), (cursor.min(i64::MAX as u64) as i64).into()],
        )
        .await?;
    row.get(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_engines, reading, writing};

    on_both_engines! {
        events_are_read_in_order_after_a_cursor
        a_cursor_is_only_raised_and_each_system_has_its_own
    }

    fn event(seq: u64, kind: EventKind, items: &[u8]) -> Event {
        Event {
            seq,
            at: Timestamp::from_micros(seq as i64 * 10),
            kind,
            peer: "a.example".parse().unwrap(),
            items: items.iter().map(|&number| Id::from_bytes([number; 16])).collect(),
        }
    }

    async fn events_are_read_in_order_after_a_cursor(database: Database) {
        let store = database.open().await;
        for (seq, kind) in [(2, EventKind::Delivered), (1, EventKind::Received), (3, EventKind::Received)] {
            writing!(store, tx => append(tx, &event(seq, kind, &[7, 8]))).unwrap();
        }
        assert!(
            writing!(store, tx => append(tx, &event(2, EventKind::Received, &[]))).is_err(),
            "a number is used once"
        );
        let read = reading!(store, tx => after(tx, 0, 2));
        let told: Vec<_> = read.iter().map(|event| (event.seq, event.kind, event.at.micros())).collect();
        assert_eq!(told, [(1, EventKind::Received, 10), (2, EventKind::Delivered, 20)]);
        let written = event(1, EventKind::Received, &[7, 8]);
        assert_eq!((&read[0].items, &read[0].peer), (&written.items, &written.peer));
        let rest = reading!(store, tx => after(tx, 2, 9));
        assert_eq!(rest.iter().map(|event| event.seq).collect::<Vec<_>>(), [3]);
        assert!(reading!(store, tx => after(tx, u64::MAX, 9)).is_empty());
    }

    async fn a_cursor_is_only_raised_and_each_system_has_its_own(database: Database) {
        let store = database.open().await;
        assert_eq!(reading!(store, tx => cursor(tx, "akte")), 0);
        for (asked, stored) in [(5, 5), (3, 5), (5, 5), (9, 9)] {
            assert_eq!(writing!(store, tx => acknowledge(tx, "akte", asked)).unwrap(), stored);
            assert_eq!(reading!(store, tx => cursor(tx, "akte")), stored);
        }
        assert_eq!(reading!(store, tx => cursor(tx, "archiv")), 0);
        assert_eq!(writing!(store, tx => acknowledge(tx, "archiv", u64::MAX)).unwrap(), i64::MAX as u64);
    }
}
