//! Who may call what: one table of every RPC, asked before a call reaches its service.

mod guard;
mod table;
#[cfg(test)]
mod tests;

use lotse_core::purpose::{Purpose, Purposes};
use lotse_core::reason::Reason;
use tonic::{Request, Status};

use crate::config::SystemSection;
use crate::edge::{Caller, caller};
use crate::failure::{ErrorKind, Failure};
use crate::federation::Act;
use crate::identity::{Identity, Role};
use crate::node::Node;

pub use guard::guard;
pub use table::*;

impl Rpc {
    /// Finds the RPC of a gRPC path, `/package.Service/Method`.
    pub fn from_path(path: &str) -> Option<Rpc> {
        let name = path.strip_prefix('/')?;
        TABLE.iter().copied().find(|rpc| rpc.name == name)
    }

    /// Tells whether a role may call it.
    pub const fn is_for(self, role: Role) -> bool {
        match self.callers {
            Callers::Peers | Callers::PeersWhoExchange => matches!(role, Role::Node),
            Callers::Systems(_) => matches!(role, Role::System),
            Callers::Officers => matches!(role, Role::Officer),
            Callers::Admins => matches!(role, Role::Admin),
            Callers::OwnAgency => matches!(role, Role::System | Role::Officer | Role::Admin),
        }
    }

    /// Decides on a caller by certificate and configuration. What the federation says about a peer is asked by [`guard`].
    pub fn admits(self, node: &Node, identity: &Identity) -> Result<(), Failure> {
        let own = *identity.agency() == node.agency;
        if !self.is_for(identity.role()) || own == (identity.role() == Role::Node) {
            return Err(denied(Reason::RoleNotAllowed));
        }
        match self.callers {
            Callers::Systems(services) => {
                let may_call = |system: &SystemSection| services.iter().any(|service| system.may_call(*service));
                let granted = node.config.system(identity.name()).is_some_and(may_call);
                if granted { Ok(()) } else { Err(denied(Reason::NotGranted)) }
            }
            Callers::OwnAgency if identity.role() == Role::System && node.config.system(identity.name()).is_none() => {
                Err(denied(Reason::NotGranted))
            }
            _ => Ok(()),
        }
    }
}

/// What the configuration grants to a calling system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Name of the system.
    pub system: String,
    /// Identity in its certificate, for the log.
    pub actor: String,
    /// Purposes for which it sends and receives.
    pub purposes: Purposes,
}

impl Grant {
    /// Checks that the system works for a purpose.
    pub fn purpose(&self, purpose: Purpose) -> Result<(), Failure> {
        if self.purposes.contains(purpose) {
            return Ok(());
        }
        let message = format!("the system is not granted the purpose {}: add it to its [[system]]", purpose.name());
        Err(Failure::new(ErrorKind::NotAllowed, Reason::NotGranted, message))
    }
}

/// Returns the grant of a calling system, or PERMISSION_DENIED.
pub fn system<T>(node: &Node, request: &Request<T>, rpc: Rpc) -> Result<Grant, Status> {
    let caller = caller(request)?;
    let identity = caller.identity();
    rpc.admits(node, identity)?;
    let section = node.config.system(identity.name()).ok_or_else(|| denied(Reason::NotGranted))?;
    Ok(Grant {
        system: section.name.clone(),
        actor: identity.to_string(),
        purposes: section.purposes.iter().copied().collect(),
    })
}

/// Returns the calling officer's or administrator's act, or PERMISSION_DENIED.
pub fn act<T>(node: &Node, request: &Request<T>, rpc: Rpc) -> Result<Act, Status> {
    let caller = caller(request)?;
    rpc.admits(node, caller.identity())?;
    Ok(Act { actor: caller.identity().to_string(), remark: String::new() })
}

/// Returns the calling peer, or PERMISSION_DENIED.
pub fn peer<T>(node: &Node, request: &Request<T>, rpc: Rpc) -> Result<Caller, Status> {
    let caller = caller(request)?;
    rpc.admits(node, caller.identity())?;
    Ok(caller)
}

fn denied(reason: Reason) -> Failure {
    Failure { kind: ErrorKind::NotAllowed, ..Failure::refused(reason) }
}
