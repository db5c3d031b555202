//! The program `lotse`.

use std::process::ExitCode;

/// What one thread makes another one frees, all the time here: the C library's allocator takes a tenth more time (measured).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lotse_node::commands::main(std::env::args_os()).into()
}
