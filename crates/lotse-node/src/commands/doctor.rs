//! `lotse doctor`: looks at everything a node needs, running or stopped, and says of each finding what to do. Changes nothing.

mod agreement;
mod alarm;
mod card;
mod certificate;
mod clock;
mod database;
mod disk;
mod finding;
mod head_store;
mod key;
mod live;
mod log;
mod outbox;
mod peer;
mod place;
mod stored;

#[cfg(test)]
mod tests;

use clap::Args;
use serde_json::json;

use super::{Context, FolderArgument, OutputArgument};
use crate::head_store::Head;
use finding::{Area, Finding, Health};
use live::Live;
use place::Place;
use stored::Stored;

/// Looks whether certificates, keys, card, clock, database, log, peers and agreements are in order, and says what to do.
/// Exit codes: 0 all is well, 1 warnings, 2 problems.
#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
}

/// What is not well. Everything about it has been printed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{problems} problems and {warnings} warnings, see above")]
pub(super) struct Unwell {
    problems: usize,
    warnings: usize,
}

impl Unwell {
    /// Returns the exit code: 1 for warnings, 2 for problems.
    pub(super) const fn exit_code(self) -> u8 {
        if self.problems > 0 { 2 } else { 1 }
    }
}

impl Doctor {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let (is_running, findings) = match Place::enter(folder.clone(), context) {
            Ok(place) => (place.is_running, examine(&place).await),
            Err(error) => (false, vec![Finding::broken(Area::Configuration, "lotse.toml", &error)]),
        };
        let count = |health| findings.iter().filter(|finding| finding.health == health).count();
        let unwell = Unwell { problems: count(Health::Problem), warnings: count(Health::Warning) };
        if self.output.json {
            context.terminal.json(&json!({
                "folder": folder.path(),
                "running": is_running,
                "problems": unwell.problems,
                "warnings": unwell.warnings,
                "findings": findings,
            }))?;
        } else {
            findings.iter().try_for_each(|finding| context.terminal.line(finding))?;
            context.terminal.line(format_args!(
                "{} findings: {} problems, {} warnings",
                findings.len(),
                unwell.problems,
                unwell.warnings
            ))?;
        }
        if unwell.problems + unwell.warnings == 0 { Ok(()) } else { Err(unwell.into()) }
    }
}

/// Looks at everything; the worst does not hide the rest.
async fn examine(place: &Place) -> Vec<Finding> {
    let mut findings = certificate::examine(place);
    findings.extend(key::examine(place));
    findings.extend(database::examine(place).await);
    findings.extend(disk::examine(place));
    let live = Live::ask(place, &mut findings).await;
    // Read before the database: a running node signs on meanwhile, and its entries are committed first.
    let head = head_store::read(place, &mut findings);
    if let Some(stored) = Stored::read(place, &mut findings).await {
        compare(place, &stored, live.as_ref(), head, &mut findings).await;
    }
    findings.extend(alarm::examine(place, live.as_ref(), &findings));
    findings
}

/// Looks at what stands in the database, beside what the running node and the head store say.
async fn compare(
    place: &Place,
    stored: &Stored,
    live: Option<&Live>,
    head: Option<Option<Head>>,
    findings: &mut Vec<Finding>,
) {
    if let Some(head) = &head {
        findings.push(head_store::compare(place, head.as_ref(), stored));
    }
    findings.extend(card::examine(place, stored, head.flatten().as_ref()));
    findings.extend(clock::examine(place, stored, live));
    findings.push(log::examine(place, stored, live));
    findings.extend(peer::examine(place, stored, live).await);
    findings.extend(agreement::examine(place, stored));
    findings.extend(outbox::examine(place, stored));
}
