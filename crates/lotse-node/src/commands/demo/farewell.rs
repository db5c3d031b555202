//! The last lines: where the nodes are, which calls and commands to try, how to go on.

use std::fs;

use super::agency::SYSTEM;
use super::place::Place;
use super::stage::Stage;
use crate::commands::client::{ADMIN_NAME, OFFICER_NAME, issued_files};
use crate::commands::officer;
use crate::identity::Role;
use crate::start::Ports;

/// Says what can be tried while the nodes run.
pub(super) async fn invite(stage: &Stage<'_>) -> anyhow::Result<()> {
    stage.story.act("The nodes run. What to try")?;
    let mut rows = Vec::new();
    for agency in &stage.agencies {
        let ports: Ports = toml::from_str(&fs::read_to_string(agency.folder.ports())?)?;
        let [peer, own] = [ports.peer, ports.agency].map(|address| address.to_string());
        let pages = ports.pages.map(|address| format!("https://{address}/")).unwrap_or_default();
        rows.push(vec![agency.name.clone(), pages, own, peer, agency.folder.path().display().to_string()]);
    }
    stage.story.table(&["AGENCY", "OFFICERS' PAGES", "ITS gRPC PORT", "PEER PORT", "FOLDER"], &rows)?;
    let Some(agency) = stage.agencies.first() else { return Ok(()) };
    let folder = agency.folder.path().display();
    let [certificate, key] = issued_files(&agency.folder, Role::System, SYSTEM).map(|path| path.display().to_string());
    let authority = agency.folder.ca_certificate();
    let link = officer::request(&agency.folder, OFFICER_NAME, stage.context).await?;
    stage.story.line(format_args!(
        "
   In a browser, the officer's pages of {name} (one use, ten minutes):
     {url}
   It will warn, because nobody but this agency knows the agency's authority: {authority}
   Another link, also for the other agencies' folders:
     lotse officer link --folder {folder}

   lotse status --folder {folder}
   lotse peer list --folder {folder}
   lotse agreement status --folder {folder}
   lotse log list --folder {folder}
   lotse log list --refused --language de --folder {folder}
   lotse log verify --folder {folder}

   (lotse is {program})

   Your own client (proto/README.md has the services; lotse.agency.v1 is for systems):
     certificate  {certificate}
     key          {key}
     authority    {authority}
   The officer's certificate is officer-{OFFICER_NAME}.crt, the administrator's admin-{ADMIN_NAME}.crt; each reaches only its
   own services.",
        program = std::env::current_exe().unwrap_or_else(|_| "lotse".into()).display(),
        authority = authority.display(),
        name = agency.name,
        url = link.url,
    ))
}

/// Says how kept folders go on.
pub(super) fn keep(stage: &Stage<'_>, place: &Place) -> anyhow::Result<()> {
    let path = place.path().display();
    stage.story.line(format_args!(
        "
   The folders stay in {path}. To go on:
     for agency in {path}/*/; do lotse run --folder \"$agency\" & done; wait
   To be rid of them:
     rm -r {path}"
    ))
}
