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

/// Texts that may read a whole table: counts of tests and of the benchmark, which generations a log has, and, once when a peer's
/// root changes, whether anything was ever exchanged with it.
const WHOLE: [&str; 3] = [
    "SELECT (SELECT COUNT(*)",
    "SELECT generation FROM log_entry UNION",
    "SELECT agency FROM peer WHERE agency = $1 AND",
];

/// Panics if a text makes SQLite scan a table that grows. Each text is looked at once.
pub(super) fn expect_search(connection: &Connection, sql: &str) {
    static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    let explains =
        ["SELECT", "WITH", "UPDATE", "DELETE", "INSERT"].iter().any(|verb| sql.trim_start().starts_with(verb));
    if !explains || WHOLE.iter().any(|text| sql.starts_with(text)) || !SEEN.lock().unwrap().insert(sql.to_owned()) {
        return;
    }
    let Ok(mut explain) = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")) else { return };
    let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>().unwrap();
    for step in &steps {
        let table = step.strip_prefix("SCAN ").and_then(|scan| scan.split(' ').next()).unwrap_or_default();
        let waits = OF_WHAT_WAITS.iter().any(|index| step.ends_with(index));
        assert!(!GROWING.contains(&table) || waits, "{step} in: {sql}");
    }
}
