//! Threads for SQLite, which works where it is called: on the threads of the node's runtime a flush to the disk would hold up
//! whatever else waits there, and handing over each statement alone costs more than most statements do.

use tokio::runtime::Builder;

use super::StoreError;

/// Runs a future on a thread of its own, which ends with it.
pub(super) fn spawn(name: &str, serve: impl Future<Output = ()> + Send + 'static) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Open(format!("cannot start the thread {name}: {error}"));
    let runtime = Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(serve));
    thread.map(drop).map_err(failed)
}
