//! What a port writes to the operators' log about connections that it does not take: once a minute, with their number.

use std::io::{self, Write};
use std::sync::Mutex;

use tracing::subscriber::{DefaultGuard, set_default};

use super::*;

/// The lines that this thread writes.
struct Lines {
    written: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn watch() -> Lines {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = written.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Sink(sink.clone())).finish();
        Lines { written, _guard: set_default(lines) }
    }

    /// Returns the lines with these words.
    fn with(&self, words: &str) -> Vec<String> {
        let text = String::from_utf8(self.written.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(words)).map(String::from).collect()
    }
}

#[tokio::test]
async fn connections_over_a_limit_are_told_once_a_minute_with_their_number() {
    let (world, counts) = open(Limits { connections_per_caller: 1, ..Limits::default() }).await;
    let lines = Lines::watch();
    let _first = connector(&world).open(&world.address.to_string(), &world.own.id).await.unwrap();
    let refused = async |count: u64| {
        while counts.refused(Limit::Caller) < count {
            who(&channel(&world)).await.unwrap_err();
        }
    };
    refused(5).await;
    let told = lines.with("connections over a limit are refused");
    assert!(told.len() == 1 && told[0].contains("times=1") && told[0].contains("caller=\"peer.example\""), "{told:?}");
    let unlogged = counts.refused(Limit::Caller) - 1;
    world.clock.turn(Duration::from_secs(60));
    refused(unlogged + 2).await;
    let told = lines.with("connections over a limit are refused");
    assert!(told.len() == 2 && told[1].contains(&format!("times={}", unlogged + 1)), "{told:?}");
}

#[tokio::test]
async fn handshakes_that_fail_are_told_once_a_minute_for_their_network() {
    let (world, counts) = open(Limits::default()).await;
    let lines = Lines::watch();
    for count in 1..6 {
        let mut noisy = TcpStream::connect(world.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut noisy, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let _ = noisy.read_to_end(&mut Vec::new()).await;
        while counts.failed.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
    }
    let told = lines.with("handshake failed");
    assert!(told.len() == 1 && told[0].contains("network=127.0.0.1"), "{told:?}");
}
