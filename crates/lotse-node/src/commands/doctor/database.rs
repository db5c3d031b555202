//! The database: reachable, up to date, durable, unharmed, with room to grow.

use std::path::Path;
use std::time::Duration;

use lotse_store::{Checkup, EngineKind, check_up};
use tokio::time::timeout;

use super::finding::{Area, Finding};
use super::place::Place;

/// How long the database may take to look at itself. A large one takes longer, and is no problem for that.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at the database.
pub(super) async fn examine(place: &Place) -> Vec<Finding> {
    let url = place.config.database.url(&place.folder);
    let file = url.strip_prefix("sqlite://").map(Path::new);
    if file.is_some_and(|file| !file.exists()) {
        let todo =
            format!("the first {} makes it; if it was there before, put it back from the backup", place.command("run"));
        return vec![Finding::problem(Area::Database, "file", format!("there is none at {url}"), todo)];
    }
    match timeout(PATIENCE, check_up(&url)).await {
        Ok(Ok(checkup)) => judge(place, &checkup),
        Ok(Err(error)) => vec![Finding::problem(
            Area::Database,
            "connection",
            error.to_string(),
            "start the server, check [database] url in lotse.toml, and the disk; then look again".into(),
        )],
        Err(_) => vec![Finding::warning(
            Area::Database,
            "integrity",
            "the database was not done looking at itself within 60 seconds",
            "let it look at itself without the limit: `sqlite3 data/lotse.sqlite 'PRAGMA integrity_check'`".into(),
        )],
    }
}

fn judge(place: &Place, checkup: &Checkup) -> Vec<Finding> {
    let about = match checkup.engine {
        EngineKind::Sqlite => "SQLite",
        EngineKind::Postgres => "PostgreSQL",
    };
    vec![migrations(place, about, checkup), durability(about, checkup), integrity(about, checkup)]
}

fn migrations(place: &Place, about: &str, checkup: &Checkup) -> Finding {
    if let Some(unknown) = checkup.unknown_migrations.first() {
        let seen = format!("the tables are newer than this program: migration {unknown} is not known to it");
        let todo = "run the newer version of lotse that was here before, or put back a backup from before its upgrade";
        return Finding::problem(Area::Database, about, seen, todo.into());
    }
    if let Some(missing) = checkup.missing_migrations.first() {
        let seen = format!("the tables are older than this program: migration {missing} is not applied");
        let todo = format!("back the database up; the next start applies it, {}", place.command("run"));
        return Finding::warning(Area::Database, about, seen, todo);
    }
    Finding::ok(Area::Database, about, format!("version {}, tables up to date", checkup.version))
}

fn durability(about: &str, checkup: &Checkup) -> Finding {
    match checkup.durability_faults.first() {
        Some(fault) => {
            let todo = match checkup.engine {
                EngineKind::Sqlite => "put the file onto a local disk and start the node again",
                EngineKind::Postgres => {
                    "set fsync, full_page_writes and synchronous_commit to on and reload the server"
                }
            };
            Finding::problem(
                Area::Database,
                about,
                format!("a power cut can lose what was acknowledged: {fault}"),
                todo.into(),
            )
        }
        None => Finding::ok(Area::Database, about, durable(checkup)),
    }
}

fn durable(checkup: &Checkup) -> String {
    match checkup.engine {
        EngineKind::Sqlite => format!(
            "nothing in the file speaks against durable commits ({}); synchronous is the node's own setting, FULL from its start",
            checkup.durability
        ),
        EngineKind::Postgres => format!("commits are durable ({})", checkup.durability),
    }
}

fn integrity(about: &str, checkup: &Checkup) -> Finding {
    match checkup.integrity_faults.first() {
        Some(fault) => {
            let todo = "stop the node, copy the file away, and put back the newest backup (deploy/OPERATIONS.md, \"Backup and restore\")";
            Finding::problem(Area::Database, about, format!("the file is harmed: {fault}"), todo.into())
        }
        None => {
            Finding::ok(Area::Database, about, format!("unharmed as far as {about} can tell ({})", checkup.integrity))
        }
    }
}
