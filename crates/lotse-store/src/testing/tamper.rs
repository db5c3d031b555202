//! A foreign hand: changes rows of a node behind its back, of a stopped one's log for tests of `lotse log verify`.

use lotse_core::id::{Digest, Id};
use rusqlite::{Connection, ToSql, params};
use sqlx::{Connection as _, PgConnection};

/// The changes. `{a}` and `{b}` are two entries, `{t}` and `{u}` two tiles, `{c}` and `{d}` two checkpoints, by row number; `{n}` is a
/// number from 1 on, `{x}` a random one.
const CHANGES: &[(&str, &[&str])] = &[
    ("delete an entry", &["DELETE FROM log_entry WHERE leaf_index = {a}"]),
    ("delete the newest entry", &["DELETE FROM log_entry WHERE leaf_index = (SELECT MAX(leaf_index) FROM log_entry)"]),
    (
        "append a copy of an entry",
        &["INSERT INTO log_entry SELECT generation, (SELECT MAX(leaf_index) + {n} FROM log_entry),
        at, kind, direction, peer, decision, record_id, entry FROM log_entry WHERE leaf_index = {a}"],
    ),
    (
        "insert an entry before the first",
        &["INSERT INTO log_entry SELECT generation, -{n}, at, kind, direction, peer,
        decision, record_id, entry FROM log_entry WHERE leaf_index = {a}"],
    ),
    (
        "insert an entry into another generation",
        &["INSERT INTO log_entry SELECT generation + {n}, leaf_index, at, kind,
        direction, peer, decision, record_id, entry FROM log_entry WHERE leaf_index = {a}"],
    ),
    (
        "move an entry to another generation",
        &["UPDATE log_entry SET generation = generation - {n} WHERE leaf_index = {a}"],
    ),
    (
        "swap the bytes of two entries",
        &["UPDATE log_entry SET entry = (SELECT entry FROM log_entry
        WHERE leaf_index = {a} + {b} - o.leaf_index) FROM log_entry o
        WHERE o.leaf_index IN ({a}, {b}) AND log_entry.leaf_index = o.leaf_index"],
    ),
    (
        "swap two entries",
        &[
            "UPDATE log_entry SET leaf_index = -1 WHERE leaf_index = {a}",
            "UPDATE log_entry SET leaf_index = {a} WHERE leaf_index = {b}",
            "UPDATE log_entry SET leaf_index = {b} WHERE leaf_index = -1",
        ],
    ),
    (
        "put one entry's bytes in the place of another's",
        &["UPDATE log_entry SET entry = (SELECT entry FROM log_entry
        WHERE leaf_index = {b}) WHERE leaf_index = {a}"],
    ),
    ("cut an entry", &["UPDATE log_entry SET entry = substr(entry, 1, length(entry) - 1) WHERE leaf_index = {a}"]),
    ("lengthen an entry", &["UPDATE log_entry SET entry = CAST(entry || x'00' AS BLOB) WHERE leaf_index = {a}"]),
    ("empty an entry", &["UPDATE log_entry SET entry = x'' WHERE leaf_index = {a}"]),
    ("change the column at", &["UPDATE log_entry SET at = at + {n} WHERE leaf_index = {a}"]),
    ("change the column kind", &["UPDATE log_entry SET kind = kind + {n} WHERE leaf_index = {a}"]),
    ("make the column kind too large", &["UPDATE log_entry SET kind = kind + 4294967296 WHERE leaf_index = {a}"]),
    ("change the column direction", &["UPDATE log_entry SET direction = direction + {n} WHERE leaf_index = {a}"]),
    ("change the column peer", &["UPDATE log_entry SET peer = peer || 'x' WHERE leaf_index = {a}"]),
    ("break the column peer", &["UPDATE log_entry SET peer = CAST(x'ff' AS TEXT) WHERE leaf_index = {a}"]),
    ("change the column decision", &["UPDATE log_entry SET decision = decision - {n} WHERE leaf_index = {a}"]),
    ("change the column record_id", &["UPDATE log_entry SET record_id = randomblob(16) WHERE leaf_index = {a}"]),
    ("cut the column record_id", &["UPDATE log_entry SET record_id = x'01' WHERE leaf_index = {a}"]),
    ("delete a tile", &["DELETE FROM log_tile WHERE rowid = {t}"]),
    ("cut a tile by a hash", &["UPDATE log_tile SET hashes = substr(hashes, 33) WHERE rowid = {t}"]),
    ("cut a tile by a byte", &["UPDATE log_tile SET hashes = substr(hashes, 2) WHERE rowid = {t}"]),
    ("lengthen a tile", &["UPDATE log_tile SET hashes = CAST(hashes || randomblob(32) AS BLOB) WHERE rowid = {t}"]),
    ("move a tile", &["UPDATE log_tile SET tile_index = tile_index + 1000 WHERE rowid = {t}"]),
    ("lift a tile", &["UPDATE log_tile SET level = level + 5 WHERE rowid = {t}"]),
    (
        "insert a tile",
        &["INSERT INTO log_tile SELECT generation, level, tile_index + 1000, hashes FROM log_tile WHERE rowid = {t}"],
    ),
    (
        "swap two tiles",
        &["UPDATE log_tile SET hashes = (SELECT hashes FROM log_tile WHERE rowid = {t} + {u} - o.rowid)
        FROM log_tile o WHERE o.rowid IN ({t}, {u}) AND log_tile.rowid = o.rowid"],
    ),
    ("delete a checkpoint", &["DELETE FROM checkpoint WHERE rowid = {c}"]),
    ("delete the newest checkpoint", &["DELETE FROM checkpoint WHERE size = (SELECT MAX(size) FROM checkpoint)"]),
    ("change a checkpoint's root", &["UPDATE checkpoint SET root = randomblob(32) WHERE rowid = {c}"]),
    ("change a checkpoint's time", &["UPDATE checkpoint SET signed_at = signed_at - {n} WHERE rowid = {c}"]),
    ("change a checkpoint's size", &["UPDATE checkpoint SET size = size + 100000 WHERE rowid = {c}"]),
    (
        "insert a checkpoint",
        &[
            "INSERT INTO checkpoint SELECT generation, size + 100000, root, signed_at, note FROM checkpoint WHERE rowid = {c}",
        ],
    ),
    (
        "move a checkpoint to another generation",
        &["UPDATE checkpoint SET generation = generation + {n} WHERE rowid = {c}"],
    ),
    ("lengthen a note", &["UPDATE checkpoint SET note = note || char(10) WHERE rowid = {c}"]),
    (
        "sign a note once more",
        &["UPDATE checkpoint SET note = note || char(8212) || ' other.example AAAAAAAA' || char(10) WHERE rowid = {c}"],
    ),
    (
        "swap two notes",
        &["UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE rowid = {c} + {d} - o.rowid)
        FROM checkpoint o WHERE o.rowid IN ({c}, {d}) AND checkpoint.rowid = o.rowid"],
    ),
];

/// Bytes of rows in which one bit is flipped: table, column, row.
const BITS: &[(&str, &str, &str)] = &[
    ("log_entry", "entry", "leaf_index = {a}"),
    ("log_entry", "entry", "leaf_index = {b}"),
    ("log_tile", "hashes", "rowid = {t}"),
    ("checkpoint", "root", "rowid = {c}"),
    ("checkpoint", "note", "rowid = {c}"),
];

/// How many changes there are.
pub const LOG_CHANGES: usize = CHANGES.len() + BITS.len();

/// Makes one change to the log of the only generation in a SQLite file and says which. `number` counts the changes through,
/// `random` gives a number below its argument.
pub fn change_log(url: &str, number: usize, mut random: impl FnMut(u64) -> u64) -> String {
    let database = open(url);
    let mut two = |sql: &'static str| {
        let mut listing = database.prepare(sql).expect("rows are listed");
        let rows = listing.query_map([], |row| row.get(0)).expect("rows are listed");
        let rows: Vec<i64> = rows.collect::<Result<_, _>>().expect("rows are listed");
        let first = random(rows.len() as u64) as usize;
        let second = (first + 1 + random(rows.len() as u64 - 1) as usize) % rows.len();
        [rows[first], rows[second]]
    };
    let [a, b] = two("SELECT leaf_index FROM log_entry");
    let [t, u] = two("SELECT rowid FROM log_tile");
    let [c, d] = two("SELECT rowid FROM checkpoint");
    let n = 1 + random(3) as i64;
    let fill = |text: &str| {
        let names = [("{a}", a), ("{b}", b), ("{t}", t), ("{u}", u), ("{c}", c), ("{d}", d), ("{n}", n)];
        names.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, &value.to_string()))
    };
    let place = format!("entries {a}, {b}, tiles {t}, {u}, checkpoints {c}, {d}, n {n}");
    let change = if let Some((name, statements)) = CHANGES.get(number % LOG_CHANGES) {
        for sql in *statements {
            let changed = database.execute(&fill(sql), []).expect("the row is changed");
            assert!(changed > 0, "{name} changed nothing: {place}");
        }
        (*name).to_owned()
    } else {
        let (table, column, row) = BITS[number % LOG_CHANGES - CHANGES.len()];
        let bit = flip_bit(&database, table, column, &fill(row), &mut random);
        format!("flip bit {bit} of {table}.{column}")
    };
    database.close().expect("the file closes");
    format!("{change} ({place})")
}

fn open(url: &str) -> Connection {
    Connection::open(url.trim_start_matches("sqlite://")).expect("the file opens")
}

fn flip_bit(database: &Connection, table: &str, column: &str, row: &str, mut random: impl FnMut(u64) -> u64) -> u64 {
    let sql = format!("SELECT CAST({column} AS BLOB) FROM {table} WHERE {row}");
    let mut bytes: Vec<u8> = database.query_row(&sql, [], |row| row.get(0)).expect("the row is read");
    let bit = random(bytes.len() as u64 * 8);
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    let kind = if column == "note" { "TEXT" } else { "BLOB" };
    let sql = format!("UPDATE {table} SET {column} = CAST(?1 AS {kind}) WHERE {row}");
    database.execute(&sql, [bytes]).expect("the row is written");
    bit
}

/// Flips one bit of an entry's bytes.
pub fn flip_entry_bit(url: &str, leaf_index: i64, bit: u64) {
    let database = open(url);
    flip_bit(&database, "log_entry", "entry", &format!("leaf_index = {leaf_index}"), |bits| bit % bits);
    database.close().expect("the file closes");
}

/// Removes an entry.
pub fn delete_entry(url: &str, leaf_index: i64) {
    let database = open(url);
    let deleted = database.execute("DELETE FROM log_entry WHERE leaf_index = ?1", [leaf_index]);
    assert_eq!(deleted.expect("the row is deleted"), 1);
    database.close().expect("the file closes");
}

/// Puts the digest of a content into an item as it was stored before such digests had keys.
pub fn replace_content_digest(url: &str, record_id: &Id, digest: &Digest) {
    change_item(url, "content_digest = ?2", params![record_id.as_bytes(), digest.as_bytes()]);
}

/// Breaks the stored content of an item.
pub fn break_content(url: &str, record_id: &Id) {
    change_item(url, "content = zeroblob(length(content))", params![record_id.as_bytes()]);
}

/// Breaks a column of bytes of the row that has an id in another column: what stands there afterwards is one byte.
pub fn break_column(url: &str, table: &str, column: &str, row: (&str, &[u8])) {
    replace_column(url, table, &format!("{column} = x'00'"), row);
}

/// Breaks a column of numbers of the row that has an id in another column: what stands there afterwards is no number of a code.
pub fn break_number(url: &str, table: &str, column: &str, row: (&str, &[u8])) {
    replace_number(url, table, column, 9999, row);
}

/// Replaces a number of the row that has an id in another column.
pub fn replace_number(url: &str, table: &str, column: &str, number: i64, row: (&str, &[u8])) {
    replace_column(url, table, &format!("{column} = {number}"), row);
}

fn replace_column(url: &str, table: &str, assignment: &str, (id_column, id): (&str, &[u8])) {
    let database = open(url);
    let sql = format!("UPDATE {table} SET {assignment} WHERE {id_column} = ?1");
    let changed = database.execute(&sql, [id]).expect("the row is changed");
    assert_eq!(changed, 1, "{table}: {assignment}");
    database.close().expect("the file closes");
}

/// Lists the columns of bytes of a table.
pub fn blob_columns(url: &str, table: &str) -> Vec<String> {
    let database = open(url);
    let mut listing =
        database.prepare("SELECT name FROM pragma_table_info(?1) WHERE type = 'BLOB'").expect("it is read");
    let names = listing.query_map([table], |row| row.get(0)).expect("the columns are listed");
    names.collect::<Result<_, _>>().expect("the columns are listed")
}

/// Puts another frozen head and digest into a released item, as an earlier version or a foreign hand would have them.
pub fn replace_envelope(url: &str, record_id: &Id, head: &[u8], digest: &Digest) {
    change_item(url, "head = ?2, envelope_digest = ?3", params![record_id.as_bytes(), head, digest.as_bytes()]);
}

/// Adds an item again, with the same record id.
pub fn repeat_item(url: &str, record_id: &Id) {
    let database = open(url);
    let copy = "CREATE TEMP TABLE copy AS SELECT * FROM outbox WHERE record_id = ?1";
    database.execute(copy, [record_id.as_bytes()]).expect("the row is copied");
    let added = database.execute_batch("UPDATE copy SET seq = NULL; INSERT INTO outbox SELECT * FROM copy");
    added.expect("the row is added");
    database.close().expect("the file closes");
}

/// Takes the mark away, as a database from before there were marks has none.
pub async fn forget_mark(url: &str) {
    let sql = "DELETE FROM meta WHERE name LIKE 'mark/%'";
    if url.starts_with("sqlite://") {
        let database = open(url);
        assert_eq!(database.execute(sql, []).expect("the rows are deleted"), 3);
        database.close().expect("the file closes");
    } else {
        let mut connection = PgConnection::connect(url).await.expect("the server answers");
        let deleted = sqlx::query(sql).execute(&mut connection).await.expect("the rows are deleted");
        assert_eq!(deleted.rows_affected(), 3);
        connection.close().await.expect("the connection closes");
    }
}

/// Changes one row of the outbox. The first parameter is its record id.
fn change_item(url: &str, assignments: &str, parameters: &[&dyn ToSql]) {
    let database = open(url);
    let changed = database.execute(&format!("UPDATE outbox SET {assignments} WHERE record_id = ?1"), parameters);
    assert_eq!(changed.expect("the row is changed"), 1);
    database.close().expect("the file closes");
}
