//! Brings the tables of a file up to date. What was done stands in the table that sqlx keeps on PostgreSQL, in the same form.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior, params};
use sqlx::migrate::{Migration, Migrator};

pub(in crate::engine) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

const TABLE: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL)";

/// Why the tables could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    #[error("migration {0} was made by a newer version of this program: use that one")]
    Newer(i64),
    #[error("migration {0} is not the one that made these tables")]
    Other(i64),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Makes what is missing, all of it or nothing. Where nothing is missing, it waits for nobody who writes.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrateError> {
    if is_begun(connection)? && missing(connection)?.is_empty() {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(TABLE)?;
    for migration in missing(&tx)? {
        apply(&tx, migration)?;
    }
    Ok(tx.commit()?)
}

fn is_begun(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations')";
    connection.query_row(sql, [], |row| row.get(0))
}

fn missing(connection: &Connection) -> Result<Vec<&'static Migration>, MigrateError> {
    let mut done = applied(connection)?;
    let mut missing = Vec::new();
    for migration in MIGRATIONS.iter() {
        match done.remove(&migration.version) {
            Some(checksum) if checksum == *migration.checksum => {}
            Some(_) => return Err(MigrateError::Other(migration.version)),
            None => missing.push(migration),
        }
    }
    match done.first_key_value() {
        Some((&version, _)) => Err(MigrateError::Newer(version)),
        None => Ok(missing),
    }
}

fn applied(connection: &Connection) -> Result<BTreeMap<i64, Vec<u8>>, rusqlite::Error> {
    let mut statement = connection.prepare("SELECT version, checksum FROM _sqlx_migrations")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn apply(connection: &Connection, migration: &Migration) -> Result<(), rusqlite::Error> {
    connection.execute_batch(migration.sql.as_str())?;
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
               VALUES (?, ?, TRUE, ?, 0)";
    let done = params![migration.version, &*migration.description, &*migration.checksum];
    connection.execute(sql, done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_with_nothing_to_make_waits_for_nobody_who_writes() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Connection::open(folder.path().join("lotse.sqlite")).unwrap();
        let mut writer = open();
        migrate(&mut writer).unwrap();
        let writing = writer.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let mut starting = open();
        starting.busy_timeout(std::time::Duration::ZERO).unwrap();
        migrate(&mut starting).unwrap();
        writing.execute("DELETE FROM _sqlx_migrations WHERE version = 3", []).unwrap();
        writing.commit().unwrap();
        assert!(migrate(&mut starting).is_err(), "what is missing is made, and here its tables are there already");
    }

    #[test]
    fn what_was_there_before_the_directory_has_its_place() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLE).unwrap();
        for migration in MIGRATIONS.iter().filter(|migration| migration.version < 7) {
            apply(&connection, migration).unwrap();
        }
        for table in ["outbox", "custody", "register"] {
            let columns = format!("SELECT name, type FROM pragma_table_info('{table}') WHERE name <> 'seq'");
            let mut columns = connection.prepare(&columns).unwrap();
            let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
            let columns: Vec<(String, String)> = columns.unwrap().collect::<Result<_, _>>().unwrap();
            let value = |kind: &str| if kind == "BLOB" { "randomblob(16)" } else { "7" };
            let names = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",");
            let values = columns.iter().map(|(_, kind)| value(kind)).collect::<Vec<_>>().join(",");
            for _ in 0..3 {
                connection.execute(&format!("INSERT INTO {table} ({names}) VALUES ({values})"), []).unwrap();
            }
        }
        migrate(&mut connection).unwrap();
        for (table, id) in [("outbox", "record_id"), ("custody", "record_id"), ("register", "subject_id")] {
            let sql = format!(
                "SELECT COUNT(*), MAX(t.seq), d.swept, d.laps FROM {table} t
                 JOIN {table}_place p ON p.id = t.{id} AND p.seq = t.seq, directory d WHERE d.name = '{table}'"
            );
            let found: [i64; 4] =
                connection.query_row(&sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])).unwrap();
            assert_eq!(found, [3, 3, 3, 0], "{table}");
        }
    }

    #[test]
    fn tables_of_a_newer_or_another_program_are_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let newer = "INSERT INTO _sqlx_migrations SELECT 9999, '', '', TRUE, x'00', 0";
        connection.execute(newer, []).unwrap();
        assert!(matches!(migrate(&mut connection), Err(MigrateError::Newer(9999))));
        connection.execute("DELETE FROM _sqlx_migrations WHERE version = 9999", []).unwrap();
        connection.execute("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 2", []).unwrap();
        assert!(matches!(migrate(&mut connection), Err(MigrateError::Other(2))));
    }
}
