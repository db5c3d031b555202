//! Who may call what: `proto/ROLES.md` says what the table says that every call is asked by.

use anyhow::Result;
use lotse_node::config::GrantedService;
use lotse_node::grpc::access::{Callers, Rpc, TABLE};
use lotse_node::identity::Role;
use lotse_tests::generated_file;

/// What stands above the table.
const HEAD: &str = "# Who may call what

Generated from `crates/lotse-node/src/grpc/access/table.rs`. The role stands in the caller's certificate,
`spiffe://<agency>/<role>/<name>`. Nodes are other agencies', all others the agency's own; whoever is not named is refused
(`ROLE_NOT_ALLOWED`), and a system without the grant in its `[[system]]` too (`NOT_GRANTED`).

- *card*: its agency's card is accepted here
- *exchange*: that, and an agreement of both is in force or either side may still hold something of the other
- *listed*: the system has a `[[system]]`, whatever that grants

";

/// Columns of the table, in order.
const ROLES: [Role; 4] = [Role::Node, Role::System, Role::Officer, Role::Admin];

#[test]
fn the_role_table_says_for_every_rpc_and_role_whether_it_may_call() -> Result<()> {
    let mut text = HEAD.to_owned();
    text += &row("RPC", ROLES.map(|role| role.to_string()));
    text += "| --- | --- | --- | --- | --- |\n";
    for rpc in TABLE {
        text += &row(&format!("`{}/{}`", rpc.service, rpc.method), ROLES.map(|role| cell(*rpc, role)));
    }
    generated_file::check("proto/ROLES.md", |_| Ok(text))
}

fn row(first: &str, cells: [String; 4]) -> String {
    format!("| {first} | {} |\n", cells.join(" | "))
}

fn cell(rpc: Rpc, role: Role) -> String {
    if !rpc.is_for(role) {
        return "no".to_owned();
    }
    match rpc.callers {
        Callers::Peers => "card".to_owned(),
        Callers::PeersWhoExchange => "exchange".to_owned(),
        Callers::Systems(services) => {
            let grants: Vec<String> = services.iter().map(|service| format!("`{}`", grant(*service))).collect();
            format!("grant {}", grants.join(" or "))
        }
        Callers::OwnAgency if role == Role::System => "listed".to_owned(),
        Callers::Officers | Callers::Admins | Callers::OwnAgency => "yes".to_owned(),
    }
}

/// The word in `lotse.toml`.
const fn grant(service: GrantedService) -> &'static str {
    match service {
        GrantedService::Referral => "referral",
        GrantedService::Consent => "consent",
        GrantedService::Inbox => "inbox",
    }
}
