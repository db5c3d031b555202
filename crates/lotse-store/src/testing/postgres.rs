//! A PostgreSQL server for one test process, or for one test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A running server. A shell waits for the end of its input, which ends with this value or with the test process, and then stops
/// the server and removes its folder; so nothing is left even after a crash.
pub struct Server {
    folder: String,
    databases: AtomicU32,
    _shell: Child,
}

/// Where distributions put the server's programs.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// `$1` is the folder of the server's programs. Its data need not outlive the process: nothing is flushed.
const SCRIPT: &str = r#"
folder=$(mktemp -d "${TMPDIR:-/tmp}/lotse-postgres.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
"$1/initdb" --no-sync --no-locale -E UTF8 -A trust -U lotse -D "$folder/data" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
"$1/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c max_connections=500 -c fsync=off \
    </dev/null >"$folder/log" 2>&1 &
server=$!
tries=0
until "$1/pg_isready" -q -h "$folder"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ]; then cat "$folder/log" >&2; kill "$server"; exit 1; fi
    sleep 0.1
done
echo "$folder"
read -r _
kill -INT "$server"
wait "$server"
"#;

impl Server {
    /// Returns the server of this process and starts it the first time.
    pub(super) fn shared() -> Option<&'static Server> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        SERVER.get_or_init(Server::alone).as_ref()
    }

    /// Starts a server of its own for a test that looks into the server's files; `None`, said loudly, where PostgreSQL is not
    /// installed.
    pub fn alone() -> Option<Server> {
        installed().map(|programs| Server::start(&programs))
    }

    /// Creates an empty database and returns its URL.
    pub async fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run(format!("CREATE DATABASE {name}")).await;
        self.url(&name)
    }

    /// Has the server write everything that it keeps in memory into its files.
    pub async fn flush(&self) {
        self.run("CHECKPOINT".to_owned()).await;
    }

    /// Returns where the server's files lie.
    pub fn folder(&self) -> &Path {
        Path::new(&self.folder)
    }

    async fn run(&self, sql: String) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.expect("the test server answers");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the test server does it");
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=lotse", self.folder)
    }

    /// PostgreSQL refuses to run as root; then the user that its package made runs it.
    fn start(programs: &Path) -> Server {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0);
        let mut command = Command::new(if is_root { "runuser" } else { "sh" });
        if is_root {
            command.args(["-u", "postgres", "--", "sh"]);
        }
        command.args(["-c", SCRIPT, "sh"]).arg(programs).current_dir("/");
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell starts");
        let mut folder = String::new();
        let output = shell.stdout.take().expect("the shell's output is a pipe");
        BufReader::new(output).read_line(&mut folder).expect("the shell answers");
        assert!(!folder.is_empty(), "the PostgreSQL server did not start, see above");
        Server { folder: folder.trim().to_owned(), databases: AtomicU32::new(0), _shell: shell }
    }
}

/// Finds the server's programs. Where there are none it is said loudly, and may be a failure.
fn installed() -> Option<PathBuf> {
    let programs = programs();
    if programs.is_none() {
        let is_set = |name: &str, value: &str| std::env::var(name).is_ok_and(|set| set == value);
        let required = is_set("CI", "true") || is_set("LOTSE_REQUIRE_POSTGRES", "1");
        assert!(!required, "PostgreSQL is not installed and CI or LOTSE_REQUIRE_POSTGRES asks for it");
        // Not eprintln: the test harness would hide it.
        let _ = writeln!(
            std::io::stderr(),
            "\n*** SKIPPED: the PostgreSQL half of the tests, for no server is installed under {PROGRAMS} \
             (apt install postgresql, or set LOTSE_POSTGRES_BIN) ***\n"
        );
    }
    programs
}

/// Finds the server's programs: where `LOTSE_POSTGRES_BIN` says, else the newest that are installed.
fn programs() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LOTSE_POSTGRES_BIN") {
        return Some(PathBuf::from(named)).filter(|folder| folder.join("postgres").exists());
    }
    let versions = std::fs::read_dir(PROGRAMS).ok()?;
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(PROGRAMS).join(version.to_string()).join("bin/postgres").exists())
        .max()?;
    Some(Path::new(PROGRAMS).join(newest.to_string()).join("bin"))
}
