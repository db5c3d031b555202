//! Two nodes, and a database that belongs to one of them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use lotse_store::testing::{Database, tamper};

use super::*;
use crate::ambient::{SystemClock, SystemRandom};
use crate::commands::terminal::Terminal;
use crate::commands::{Context, run};
use crate::start::{Overrides, start};

/// Folders of nodes, and commands about them.
struct Shell {
    parent: tempfile::TempDir,
    context: Context,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Shell {
    fn new() -> Shell {
        let output = Arc::new(Mutex::new(Vec::new()));
        let terminal = Terminal::to(output.clone());
        let context = Context { terminal, clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) };
        Shell { parent: tempfile::tempdir().unwrap(), context, output }
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::new(self.parent.path().join(name))
    }

    /// Sets a node up on a database; without one it is a file in the folder.
    async fn init(&self, name: &str, agency: &str, database: Option<&str>) -> Folder {
        let mut line = format!(
            "init --agency {agency} --name Agency --kind jobcenter_ge --peer-address lotse.{agency}:8443 --listen-peer 127.0.0.1:0 \
             --listen-agency 127.0.0.1:0"
        );
        line.extend(database.map(|url| format!(" --database {url}")));
        self.give(name, &line).await.unwrap();
        self.folder(name)
    }

    async fn give(&self, name: &str, line: &str) -> anyhow::Result<()> {
        let folder = self.folder(name).path().display().to_string();
        let arguments = ["lotse"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
        let arguments = arguments.chain(["--folder", &folder]);
        run(arguments.map(String::from).collect::<Vec<_>>(), &self.context).await
    }

    /// Gives a command and returns what it printed, however it ended.
    async fn printed(&self, name: &str, line: &str) -> String {
        self.output.lock().unwrap().clear();
        let _ = self.give(name, line).await;
        String::from_utf8(self.output.lock().unwrap().clone()).unwrap()
    }

    async fn run_once(&self, folder: &Folder) -> anyhow::Result<()> {
        Box::pin(start(folder, Overrides::default())).await?.stop().await
    }

    /// Expects that a start and every command that opens the database refuse it, each with these words.
    async fn expect_refused(&self, name: &str, words: &[&str]) {
        let started = self.run_once(&self.folder(name)).await;
        let mut refusals = vec![("run", started)];
        let commands = ["log list", "log show 0", "log verify", "log export --out never", "log prove 0 --out never"];
        for line in commands.into_iter().chain(["log resume --reason mistake"]) {
            refusals.push((line, self.give(name, line).await));
        }
        for (line, refusal) in refusals {
            let message = format!("{:#}", refusal.expect_err(line));
            assert!(words.iter().all(|word| message.contains(word)), "{line}: {message}");
            assert!(message.contains("nothing was changed"), "{line}: {message}");
        }
    }
}

/// A database of a node that ran once, on each engine.
struct Owned {
    shell: Shell,
    owner: Folder,
    url: String,
    _database: Option<Database>,
}

impl Owned {
    async fn sqlite() -> Owned {
        let shell = Shell::new();
        let owner = shell.init("owner", "pg.example", None).await;
        shell.run_once(&owner).await.unwrap();
        Owned { url: format!("sqlite://{}", owner.database().display()), shell, owner, _database: None }
    }

    async fn postgres() -> Option<Owned> {
        let (shell, database) = (Shell::new(), Database::postgres().await?);
        let url = database.url().to_owned();
        let owner = shell.init("owner", "pg.example", Some(&url)).await;
        shell.run_once(&owner).await.unwrap();
        Some(Owned { shell, owner, url, _database: Some(database) })
    }

    async fn on_both_engines() -> Vec<Owned> {
        [Some(Owned::sqlite().await), Owned::postgres().await].into_iter().flatten().collect()
    }

    /// Counts the entries of the log and reads where the database was opened last.
    async fn look(&self) -> (u64, Option<DatabaseMark>) {
        let store = Store::open_to_read(&self.url, &one_reader()).unwrap();
        let seen = store.read("look", |tx| {
            Box::pin(async move {
                let written = lotse_store::counter::read(tx, &lotse_store::counter::Counter::Leaf).await?;
                Ok((written, mark::identify(tx, &"pg.example".parse().unwrap()).await?.mark))
            })
        });
        let seen = seen.await.unwrap();
        store.close().await;
        seen
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_nodes_database_is_refused_before_anything_is_written() {
    for owned in Owned::on_both_engines().await {
        let before = owned.look().await;
        let folder = owned.owner.path().display().to_string();
        owned.shell.init("other", "pg2.example", Some(&owned.url)).await;
        owned.shell.expect_refused("other", &["belongs to pg.example", &folder, "the node of pg2.example"]).await;
        owned.shell.init("twin", "pg.example", Some(&owned.url)).await;
        owned.shell.expect_refused("twin", &["belongs to another node of pg.example", &folder, "vault.toml"]).await;
        let looked = owned.shell.printed("other", "doctor --json").await;
        assert!(looked.contains("belongs to pg.example, last opened from"), "{looked}");
        assert_eq!(owned.look().await, before, "nothing was written");
        owned.shell.run_once(&owned.owner).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_file_keeps_its_bytes() {
    let owned = Owned::sqlite().await;
    let files = || {
        let listed = fs::read_dir(owned.owner.database().parent().unwrap()).unwrap();
        let mut files: Vec<(PathBuf, Vec<u8>)> = listed
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (path.clone(), fs::read(&path).unwrap()))
            .filter(|(_, bytes)| !bytes.is_empty())
            .collect();
        files.sort();
        files
    };
    let before = files();
    owned.shell.init("other", "pg2.example", Some(&owned.url)).await;
    owned.shell.expect_refused("other", &["belongs to pg.example"]).await;
    assert_eq!(files(), before);
}

/// As a node of an earlier version left it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_from_before_the_mark_is_marked_by_its_own_node_alone() {
    for owned in Owned::on_both_engines().await {
        let (_, marked) = owned.look().await;
        tamper::forget_mark(&owned.url).await;
        owned.shell.init("other", "pg2.example", Some(&owned.url)).await;
        owned
            .shell
            .expect_refused("other", &["has the log pg.example/exchange-log/1", "the node of pg2.example"])
            .await;
        owned.shell.init("twin", "pg.example", Some(&owned.url)).await;
        owned.shell.expect_refused("twin", &["under another root key"]).await;
        assert_eq!(owned.look().await.1, None);
        owned.shell.give("owner", "log verify").await.unwrap();
        assert_eq!(owned.look().await.1, None, "reading marks nothing");
        owned.shell.run_once(&owned.owner).await.unwrap();
        assert_eq!(owned.look().await.1, marked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_was_moved_keeps_its_database() {
    let owned = Owned::sqlite().await;
    fs::rename(owned.owner.path(), owned.shell.folder("moved").path()).unwrap();
    owned.shell.give("moved", "log verify").await.unwrap();
    owned.shell.run_once(&owned.shell.folder("moved")).await.unwrap();
    let moved = Owned { url: format!("sqlite://{}", owned.shell.folder("moved").database().display()), ..owned };
    let (_, mark) = moved.look().await;
    assert!(mark.unwrap().folder.ends_with("/moved"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_verified_without_the_keys_of_the_database() {
    let owned = Owned::sqlite().await;
    fs::remove_file(owned.owner.vault_keys()).unwrap();
    owned.shell.give("owner", "log verify").await.unwrap();
    let refused = format!("{:#}", owned.shell.run_once(&owned.owner).await.unwrap_err());
    assert!(refused.contains("put ") && refused.contains("vault.toml back from its backup"), "{refused}");
}
