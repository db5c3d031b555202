//! Keeps keys out of core dumps: a process that dies writes its memory nowhere, and no process of the same user reads it.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps of this process. The limit alone is not enough: the kernel hands dumps to a program regardless of it where the
/// machine is set up like that.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    const OWN_PROCESS: &str = "LOTSE_TEST_CORE_DUMP";

    /// In a process of its own: other tests read what only a process that may be dumped reads of itself.
    #[test]
    fn a_process_that_dies_leaves_no_memory_behind() {
        if std::env::var_os(OWN_PROCESS).is_none() {
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            again.args(["core_dump::tests::a_process_that_dies_leaves_no_memory_behind", "--exact"]);
            assert!(again.env(OWN_PROCESS, "1").status().unwrap().success());
            return;
        }
        forbid_core_dumps().unwrap();
        let Rlimit { current, maximum } = getrlimit(Resource::Core);
        assert_eq!((current, maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
