//! What a visit looks at, for its entry in the log.

use axum::extract::Query;
use http::Uri;
use lotse_core::id::Id;

use super::filter::FilterForm;
use crate::action::record_look::describe_list;
use crate::node::Node;

/// Describes the page that is asked for. Nothing that was typed is repeated but numbers, times and ids.
pub(super) fn seen(node: &Node, address: &Uri) -> String {
    let mut parts = address.path().split('/').skip(1);
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("", None) => "overview".to_string(),
        ("log", None) => list(node, address),
        ("log", Some(index)) => index.parse::<u64>().map_or("no entry".into(), |index| format!("entry {index}")),
        ("peers", None) => "peers".to_string(),
        ("agreements", None) => "agreements".to_string(),
        ("agreements", Some(id)) => id.parse::<Id>().map_or("no agreement".into(), |id| format!("agreement {id}")),
        _ => "no page".to_string(),
    }
}

fn list(node: &Node, address: &Uri) -> String {
    let asked = Query::<FilterForm>::try_from_uri(address).ok().and_then(|Query(form)| form.read().ok());
    asked.map_or("list".into(), |asked| describe_list(&asked.filter, &node.federation.get()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn a_page_is_described_without_what_was_typed() {
        let node = TestNode::new("jc.example").await;
        for (address, described) in [
            ("/", "overview"),
            ("/log", "list"),
            (
                "/log?kind=4&peer=jc.example&from=2026-11-02",
                "list: kind submit-refused, peer jc.example, from 2026-11-01T23:00:00Z",
            ),
            ("/log?peer=Anna+Schulze", "list"),
            ("/log?peer=schulze", "list: peer unknown"),
            ("/log/7", "entry 7"),
            ("/log/7/proof", "entry 7"),
            ("/log/schulze", "no entry"),
            ("/agreements/07070707-0707-0707-0707-070707070707", "agreement 07070707-0707-0707-0707-070707070707"),
            ("/agreements/schulze", "no agreement"),
            ("/schulze", "no page"),
        ] {
            assert_eq!(seen(&node, &Uri::from_static(address)), described, "{address}");
        }
    }
}
