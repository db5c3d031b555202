//! What can go wrong between a work and its answer.

/// Why the store did not do a work.
///
/// Holds the database's code and message but never its details, which quote values of rows.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StoreError {
    /// The database could not be opened or migrated.
    #[error("cannot open the database: {0}")]
    Open(String),
    /// A statement broke a constraint; nothing of the work is stored.
    #[error("a constraint of the database refused the statement: {message} (code {code})")]
    Constraint {
        /// The engine's error code.
        code: String,
        /// The engine's message.
        message: String,
    },
    /// The database failed or could not be reached; nothing of the work is stored.
    #[error("the database failed: {message} (code {code})")]
    Database {
        /// The engine's error code, or a word for the kind of failure.
        code: String,
        /// The engine's message.
        message: String,
    },
    /// The commit itself failed: the work is stored wholly or not at all, and only a look at the tables can tell.
    #[error("the commit was not confirmed, the work may be stored or not: {0}")]
    InDoubt(String),
    /// A row has another shape than the statement promised.
    #[error("column {column} of a row is not {expected}")]
    Row {
        /// Counted from 0.
        column: usize,
        /// What the caller asked for.
        expected: &'static str,
    },
    /// A statement that promises a row returned none.
    #[error("a statement that promises a row returned none")]
    NoRow,
    /// A statement was given values it cannot take.
    #[error("the statement cannot take its values: {0}")]
    Value(&'static str),
    /// The work panicked; nothing of it is stored.
    #[error("the work {0} panicked")]
    Panicked(&'static str),
    /// Something could not be encrypted or decrypted.
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Code of a failure of the connection, not of a statement.
const CONNECTION: &str = "connection";

/// Code of a work that took longer than it may.
const TIMEOUT: &str = "timeout";

/// Code with which PostgreSQL ends a statement that takes too long (query_canceled).
const CANCELLED: &str = "57014";

/// Codes after which nothing is stored and the same work may pass: serialization_failure, deadlock_detected, admin_shutdown,
/// crash_shutdown, cannot_connect_now, and a lost connection.
const RUN_AGAIN: [&str; 6] = ["40001", "40P01", "57P01", "57P02", "57P03", CONNECTION];

/// Codes with which PostgreSQL says that a commit was rolled back.
const ROLLED_BACK: [&str; 2] = ["40001", "40P01"];

/// Codes of a full disk: SQLite's (SQLITE_FULL), PostgreSQL's (disk_full).
const DISK_FULL: [&str; 2] = ["13", "53100"];

impl StoreError {
    /// Tells whether the disk of the database is full. Nothing can be stored until there is room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            StoreError::Database { code, .. } => DISK_FULL.contains(&code.as_str()),
            // A commit's error ends with the code of its cause.
            StoreError::InDoubt(why) => DISK_FULL.iter().any(|code| why.ends_with(&format!("(code {code})"))),
            _ => false,
        }
    }

    /// Translates an error of a statement.
    pub(super) fn from_sqlx(error: sqlx::Error) -> StoreError {
        match &error {
            sqlx::Error::Database(inner) => {
                let code = inner.code().unwrap_or_default().into_owned();
                let message = inner.message().to_owned();
                if code == CANCELLED {
                    return StoreError::timeout();
                }
                if inner.kind() == sqlx::error::ErrorKind::Other {
                    StoreError::Database { code, message }
                } else {
                    StoreError::Constraint { code, message }
                }
            }
            sqlx::Error::PoolClosed => StoreError::Closed,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
                StoreError::Database { code: CONNECTION.to_owned(), message: error.to_string() }
            }
            other => StoreError::Database { code: "client".to_owned(), message: other.to_string() },
        }
    }

    /// Translates an error of a statement on SQLite.
    pub(super) fn from_sqlite(error: rusqlite::Error) -> StoreError {
        let rusqlite::Error::SqliteFailure(failure, message) = &error else {
            return StoreError::Database { code: "client".to_owned(), message: error.to_string() };
        };
        let code = failure.extended_code.to_string();
        let message = message.clone().unwrap_or_else(|| failure.to_string());
        match failure.code {
            rusqlite::ErrorCode::ConstraintViolation => StoreError::Constraint { code, message },
            rusqlite::ErrorCode::OperationInterrupted => StoreError::timeout(),
            _ => StoreError::Database { code, message },
        }
    }

    /// Turns an error of `COMMIT` into what it means: a broken constraint and two codes of PostgreSQL mean "rolled back", nothing
    /// else is certain.
    pub(super) fn into_commit(self) -> StoreError {
        match self {
            StoreError::Database { code, message } if !ROLLED_BACK.contains(&code.as_str()) => {
                StoreError::InDoubt(format!("{message} (code {code})"))
            }
            certain => certain,
        }
    }

    /// The error of a work that took longer than it may.
    pub(super) fn timeout() -> StoreError {
        StoreError::Database { code: TIMEOUT.to_owned(), message: "the work took too long".to_owned() }
    }

    /// The error of works whose transaction went away with the connection of another one.
    pub(super) fn lost() -> StoreError {
        StoreError::Database { code: CONNECTION.to_owned(), message: "the connection was given up".to_owned() }
    }

    pub(super) fn is_timeout(&self) -> bool {
        matches!(self, StoreError::Database { code, .. } if code == TIMEOUT)
    }

    /// Tells whether the same work, of which nothing is stored, may pass if it is run again.
    pub(super) fn may_pass_again(&self) -> bool {
        matches!(self, StoreError::Database { code, .. } if RUN_AGAIN.contains(&code.as_str()))
    }
}
