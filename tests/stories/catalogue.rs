//! The catalogue of reasons in `proto/README.md`, the enum on the wire and the table in core say the same.

use anyhow::{Context as _, Result};
use lotse_core::reason::{Finality, Reason};
use lotse_proto::FILE_DESCRIPTOR_SET;
use lotse_tests::comment::comment;
use lotse_tests::generated_file;
use prost_reflect::DescriptorPool;

const BEGIN: &str = "<!-- reasons: begin (generated from crates/lotse-core/src/reason.rs) -->\n";
const END: &str = "<!-- reasons: end -->";

#[test]
fn the_catalogue_lists_every_reason() -> Result<()> {
    generated_file::check("proto/README.md", |present| {
        let (before, rest) = present.split_once(BEGIN).context("no begin of the catalogue")?;
        let (_, after) = rest.split_once(END).context("no end of the catalogue")?;
        Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", catalogue()))
    })
}

#[test]
fn the_enum_on_the_wire_says_what_core_says() -> Result<()> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let values = pool.get_enum_by_name("lotse.exchange.v1.Reason").context("not declared")?;
    let on_the_wire = values.values().filter(|value| value.number() != 0);
    let on_the_wire = on_the_wire
        .map(|value| (value.number(), value.name().to_owned(), comment(&values.parent_file(), value.path())));
    let in_core =
        Reason::ALL.iter().map(|&reason| (reason.number(), format!("REASON_{}", reason.code()), wording(reason)));
    assert_eq!(on_the_wire.collect::<Vec<_>>(), in_core.collect::<Vec<_>>());
    Ok(())
}

fn catalogue() -> String {
    let head = "| code | number | kind | level | meaning |\n| --- | --- | --- | --- | --- |\n";
    let row = |reason: &Reason| {
        let (code, number, level) = (reason.code(), reason.number(), reason.level());
        let (kind, sentence) = (kind(*reason).to_lowercase(), reason.sentence());
        format!("| `{code}` | {number} | {kind} | {level} | {sentence} |\n")
    };
    Reason::ALL.iter().map(row).fold(head.to_owned(), |text, row| text + &row)
}

/// The comment that the reason has in `proto/`.
fn wording(reason: Reason) -> String {
    let since = if reason.level() > 1 { format!("Since level {}. ", reason.level()) } else { String::new() };
    let (first, rest) = reason.sentence().split_at(1);
    format!("{since}{}{rest}. {}.", first.to_uppercase(), kind(reason))
}

const fn kind(reason: Reason) -> &'static str {
    match reason.finality() {
        Finality::Final => "Final",
        Finality::Retryable => "Retryable",
    }
}
