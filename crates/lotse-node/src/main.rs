//! The program `lotse`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lotse_node::commands::main(std::env::args_os()).into()
}
