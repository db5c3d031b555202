//! In tests: whatever the store asks of SQLite must find its rows by an index, for a table that is scanned is slow only in the
//! years in which nobody looks.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use rusqlite::Connection;

/// Tables that grow with the work.
const GROWING: [&str; 13] = [
    "outbox",
    "o",
    "batch",
    "register",
    "r",
    "custody",
    "c",
    "received_batch",
    "inbox_event",
    "import_token",
    "log_entry",
    "subject",
    "consent",
];

/// Indexes that hold only what waits: reading all of one is a step of the work, not of the years.
const OF_WHAT_WAITS: [&str; 4] = ["outbox_due", "outbox_expiry", "batch_open", "withdrawal_pending"];

/// Texts that may read a whole table: counts of tests and of the benchmark, which generations a log has, once when a peer's root
/// changes, whether anything was ever exchanged with it, and the doctor's look for ids that are there twice.
const WHOLE: [&str; 4] = [
    "SELECT (SELECT COUNT(*)",
    "SELECT generation FROM log_entry UNION",
    "SELECT agency FROM peer WHERE agency = $1 AND",
    "SELECT COUNT(*) FROM (SELECT record_id FROM outbox GROUP BY",
];

/// Texts that change an unknown number of rows on purpose: a command of a stopped node moves what is not signed yet to a new generation,
/// all of it or nothing.
const UNBOUNDED: [&str; 1] = ["UPDATE log_entry SET generation = $3, leaf_index ="];

/// Panics if a text may change any number of rows of a table that grows: leases end together, and a statement that takes longer than a
/// work may stops every write and never succeeds. Bounded are a limit, rows that the caller hands in, and a search by a whole key.
fn expect_bound(sql: &str, steps: &[String]) {
    let mut words = sql.split_whitespace();
    let table = match (words.next(), words.next(), words.next()) {
        (Some("UPDATE"), Some(table), _) | (Some("DELETE"), Some("FROM"), Some(table)) => table,
        _ => return,
    };
    let by_key = |step: &String| {
        let index =
            step.contains("USING INTEGER PRIMARY KEY (rowid=?)") || step.contains("USING INDEX sqlite_autoindex_");
        index && step.contains(&format!("SEARCH {table} ")) && !step.contains(['<', '>'])
    };
    let bounded = sql.contains(" LIMIT $") || sql.contains("FROM v") || steps.iter().any(by_key);
    let known = UNBOUNDED.iter().any(|text| sql.starts_with(text));
    assert!(bounded || known || !GROWING.contains(&table), "changes any number of rows: {sql}");
}

/// Panics if a text makes SQLite scan a table that grows, or change any number of its rows. Each text is looked at once.
pub(super) fn expect_search(connection: &Connection, sql: &str) {
    static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let explains =
        ["SELECT", "WITH", "UPDATE", "DELETE", "INSERT"].iter().any(|verb| sql.trim_start().starts_with(verb));
    if !explains || WHOLE.iter().any(|text| sql.starts_with(text)) || !SEEN.lock().unwrap().insert(sql.to_owned()) {
        return;
    }
    let Ok(mut explain) = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")) else { return };
    let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>().unwrap();
    expect_bound(sql, &steps);
    for step in &steps {
        let table = step.strip_prefix("SCAN ").and_then(|scan| scan.split(' ').next()).unwrap_or_default();
        let waits = OF_WHAT_WAITS.iter().any(|index| step.ends_with(index));
        assert!(!GROWING.contains(&table) || waits, "{step} in: {sql}");
    }
}

mod tests {
    use std::panic::AssertUnwindSafe;

    use super::*;

    fn is_bounded(sql: &'static str) -> bool {
        let connection = Connection::open_in_memory().unwrap();
        super::super::MIGRATIONS.iter().for_each(|migration| connection.execute_batch(migration.sql.as_str()).unwrap());
        std::panic::catch_unwind(AssertUnwindSafe(|| expect_search(&connection, sql))).is_ok()
    }

    #[test]
    fn a_change_of_any_number_of_rows_is_noticed() {
        for bounded in [
            "UPDATE custody SET content = NULL WHERE seq IN (SELECT seq FROM custody WHERE hold_until <= $1
                 AND content IS NOT NULL LIMIT $2)",
            "UPDATE batch SET state = 2 WHERE batch_id = $1 AND state = 1",
            "DELETE FROM custody WHERE seq = $1",
            "DELETE FROM counter WHERE name LIKE 'x%'",
        ] {
            assert!(is_bounded(bounded), "{bounded}");
        }
        for unbounded in [
            "UPDATE custody SET content = NULL WHERE content IS NOT NULL AND hold_until <= $1",
            "UPDATE batch SET state = 2 WHERE state < 3 AND state = 1",
            "DELETE FROM custody WHERE seq > $1",
            "DELETE FROM consent WHERE subject_id = $1",
        ] {
            assert!(!is_bounded(unbounded), "{unbounded}");
        }
    }
}
