//! A pooler in front of a server that gives each transaction one of its own few sessions, as PgBouncer does in transaction mode.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Request for encryption instead of a start (PostgreSQL, message formats).
const SSL_REQUEST: u32 = 80_877_103;

/// Version 3.0 of the protocol.
const PROTOCOL: u32 = 196_608;

/// A pooler that listens until the process ends.
pub struct Pooler {
    folder: tempfile::TempDir,
    database: String,
}

/// The server's sessions that nobody uses at this moment, the one that rested longest first.
struct Sessions {
    take: Mutex<Receiver<UnixStream>>,
    give: SyncSender<UnixStream>,
    /// What the server answers to a start.
    greeting: Vec<u8>,
}

impl Pooler {
    /// Starts a pooler with so many sessions in front of a database of a test server.
    pub fn start(url: &str, sessions: usize) -> Pooler {
        let (database, server) = url.trim_start_matches("postgres:///").split_once("?host=").expect("a test database");
        let server = server.split('&').next().unwrap_or_default();
        let (give, take) = sync_channel(sessions);
        let mut greeting = Vec::new();
        for _ in 0..sessions {
            let mut session = UnixStream::connect(format!("{server}/.s.PGSQL.5432")).expect("the server listens");
            let parameters = format!("user\0lotse\0database\0{database}\0\0");
            let length = 8 + parameters.len() as u32;
            let start = [&length.to_be_bytes(), &PROTOCOL.to_be_bytes(), parameters.as_bytes()].concat();
            session.write_all(&start).expect("the server listens");
            greeting.clear();
            while answer(&mut session, &mut greeting).expect("the server answers") != Some(b'I') {}
            give.send(session).expect("there is room");
        }
        let pooler = Pooler { folder: tempfile::tempdir().expect("a temporary folder"), database: database.to_owned() };
        let listener = UnixListener::bind(pooler.folder.path().join(".s.PGSQL.5432")).expect("the socket is free");
        let sessions = Arc::new(Sessions { take: Mutex::new(take), give, greeting });
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let sessions = Arc::clone(&sessions);
                std::thread::spawn(move || sessions.serve(client));
            }
        });
        pooler
    }

    /// Returns the URL of the database behind the pooler.
    pub fn url(&self) -> String {
        format!("postgres:///{}?host={}&user=lotse", self.database, self.folder.path().display())
    }
}

impl Sessions {
    fn serve(&self, mut client: UnixStream) -> io::Result<()> {
        loop {
            let start = body(&mut client)?;
            if start.first_chunk() != Some(&SSL_REQUEST.to_be_bytes()) {
                break;
            }
            client.write_all(b"N")?;
        }
        client.write_all(&self.greeting)?;
        let mut session = None;
        loop {
            let (kind, body) = message(&mut client)?;
            if kind == b'X' {
                return Ok(());
            }
            let mut used = match session.take() {
                Some(session) => session,
                None => self.take.lock().unwrap_or_else(PoisonError::into_inner).recv().map_err(io::Error::other)?,
            };
            let length = (body.len() as u32 + 4).to_be_bytes();
            used.write_all(&[&[kind], &length[..], &body].concat())?;
            let ends = matches!(kind, b'Q' | b'S');
            let mut answered = Vec::new();
            let mut state = None;
            while ends && state.is_none() {
                state = answer(&mut used, &mut answered)?;
            }
            // A session is free before its client reads the answer: which one the next transaction gets is then certain.
            match state {
                Some(b'I') => self.give.send(used).map_err(io::Error::other)?,
                _ => session = Some(used),
            }
            client.write_all(&answered)?;
        }
    }
}

/// Reads one message of the server and appends it. Returns the state of the transaction where it tells that the server is ready.
fn answer(session: &mut UnixStream, answered: &mut Vec<u8>) -> io::Result<Option<u8>> {
    let (kind, body) = message(session)?;
    answered.push(kind);
    answered.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    answered.extend_from_slice(&body);
    Ok(body.first().copied().filter(|_| kind == b'Z'))
}

fn message(from: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    Ok((kind[0], body(from)?))
}

/// Reads what follows a length, which counts itself.
fn body(from: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut body = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
    from.read_exact(&mut body)?;
    Ok(body)
}
