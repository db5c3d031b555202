//! `lotse status`: how the running node is.

use clap::Args;
use lotse_core::time::Timestamp;
use lotse_proto::admin::v1::{GetStatusRequest, GetStatusResponse};

use super::{Context, FolderArgument, OutputArgument, client};
use crate::action::get_status::DISK_FULL;
use crate::wire;

/// Says how the running node is.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let status = node.get_status(GetStatusRequest {}).await.map_err(client::explained)?.into_inner();
        if self.output.json {
            return context.terminal.json(&status);
        }
        context.terminal.line(description(&status, context.clock.now()))
    }
}

fn description(status: &GetStatusResponse, now: Timestamp) -> String {
    let until = status.card_valid_until.as_ref().and_then(wire::time::parse);
    let has_card = until.is_some_and(|until| now < until);
    let is_full = status.alarms.iter().any(|alarm| alarm.starts_with(DISK_FULL));
    let until = until.map_or("unknown".to_string(), |until| until.date().to_string());
    let releases = match status.log_hold.as_str() {
        "" if status.clock_stepped_back => {
            "STOPPED: the clock stepped back; check it, then `lotse clock confirm --reason 'compared with NTP'`"
                .to_string()
        }
        "" if status.clock_jumped_ahead => {
            "STOPPED: the clock jumped ahead; check it, then `lotse clock confirm --reason 'compared with NTP'`"
                .to_string()
        }
        "" if is_full => format!("STOPPED: {DISK_FULL}; make room"),
        "" if !has_card => "STOPPED: no card is installed, or it has expired; see `lotse card draft`".to_string(),
        "" => "go out".to_string(),
        why => format!("STOPPED: the log is on hold ({why}); see `lotse log resume`"),
    };
    let mut text = format!(
        "{agency}, lotse {version}
  releases    {releases}
  card        {card}, valid until {until}
  generation  {generation}
  log         {size} entries, {checkpoint} under the newest checkpoint
  outbox      {due} due, {doubt} in doubt",
        agency = status.agency,
        version = status.version,
        card = status.card_version,
        generation = status.generation,
        size = status.log_size,
        checkpoint = status.checkpoint_size,
        due = status.items_due,
        doubt = status.items_in_doubt,
    );
    status.alarms.iter().for_each(|alarm| text.push_str(&format!("\n  ALARM       {alarm}")));
    text
}
