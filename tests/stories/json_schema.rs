//! The file formats' schemas follow `proto/`.

use anyhow::Result;
use lotse_tests::{generated_file, json_schema};

#[test]
fn the_schema_of_a_referral_line_follows_its_message() -> Result<()> {
    check("proto/schema/referral_handover.schema.json", "lotse.agency.v1.ReferralHandover")
}

#[test]
fn the_schema_of_a_consent_line_follows_its_message() -> Result<()> {
    check("proto/schema/consent.schema.json", "lotse.record.v1.Consent")
}

fn check(file: &str, message: &str) -> Result<()> {
    let schema = json_schema::of_message(message)?;
    generated_file::check(file, |_| Ok(serde_json::to_string_pretty(&schema)? + "\n"))
}
