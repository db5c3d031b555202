//! The demonstration: five nodes in processes of their own, told to the end, and outcomes that follow the files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use lotse_core::random::Random;
use lotse_node::ambient::{SystemClock, SystemRandom};
use lotse_node::commands::Context;
use lotse_node::commands::demo::{Demo, Program};
use lotse_node::commands::terminal::Terminal;
use lotse_tests::process::lotse;

/// Tells the story as `lotse demo --exit` does and returns it. It fails if anything did not hold.
async fn told(demo: Demo) -> Result<String> {
    let output = Arc::new(Mutex::new(Vec::new()));
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let context = Context { terminal: Terminal::to(output.clone()), clock: Arc::new(SystemClock), random };
    let ended = Box::pin(demo.run(&context, Program::of(lotse))).await;
    let printed = output.lock().map(|output| output.clone()).unwrap_or_default();
    let story = String::from_utf8(printed)?;
    ended.with_context(|| story.clone())?;
    Ok(story)
}

/// The lines that say what became of each referral.
fn outcomes(story: &str) -> BTreeSet<&str> {
    let is_key = |line: &&str| line.split_whitespace().next().is_some_and(|word| word.contains("-2026-"));
    story.lines().filter(|line| !line.starts_with(' ')).filter(is_key).collect()
}

/// Leaves the residence title out of one person's consent.
fn narrow_one_consent(folder: &Path) -> Result<()> {
    let path = folder.join("consents/jc-hanau.hessen.example.ndjson");
    let text = fs::read_to_string(&path)?;
    let narrowed = |line: &str| match line.contains("\"JC-P-05\"") {
        true => line.replace("\"CATEGORY_RESIDENCE_TITLE\",", ""),
        false => line.to_string(),
    };
    let changed: Vec<String> = text.lines().map(narrowed).collect();
    assert_eq!(text.lines().zip(&changed).filter(|(before, after)| before != after).count(), 1);
    Ok(fs::write(&path, changed.join("\n"))?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_holds_and_one_changed_consent_changes_exactly_its_own_line() -> Result<()> {
    let place = tempfile::tempdir()?;
    let ours = told(Demo { exit: true, folder: Some(place.path().join("nodes")), ..Demo::default() }).await?;
    assert!(ours.contains("Everything held."), "{ours}");
    assert!(outcomes(&ours).len() >= 50, "{ours}");
    assert!(ours.contains("not operated by the named authorities") && ours.contains("statutory duties"), "{ours}");
    assert!(!place.path().join("nodes").exists(), "the folders go unless they are kept");

    let files = place.path().join("files");
    told(Demo { write_input: Some(files.clone()), ..Demo::default() }).await?;
    narrow_one_consent(&files)?;
    let kept = place.path().join("kept");
    let changed = Demo { exit: true, keep: true, folder: Some(kept.clone()), input: Some(files), ..Demo::default() };
    let theirs = told(changed).await?;
    let (before, after) = (outcomes(&ours), outcomes(&theirs));
    let gone: Vec<_> = before.difference(&after).collect();
    let new: Vec<_> = after.difference(&before).collect();
    assert!(matches!(gone[..], [line] if line.starts_with("JC-2026-0007 ") && line.contains("declined")), "{gone:?}");
    let refused = "refused CATEGORY_NOT_IN_CONSENT";
    assert!(matches!(new[..], [line] if line.starts_with("JC-2026-0007 ") && line.ends_with(refused)), "{new:?}");
    assert!(kept.join("jc-hanau.hessen.example/lotse.toml").exists() && theirs.contains("lotse run --folder"));
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_a_file_is_told_before_anything_is_set_up() -> Result<()> {
    let place = tempfile::tempdir()?;
    let files = place.path().join("files");
    told(Demo { write_input: Some(files.clone()), ..Demo::default() }).await?;
    let path = files.join("referrals/aa-hanau.hessen.example.ndjson");
    fs::write(&path, fs::read_to_string(&path)?.replacen("\"recipient\"", "\"recipent\"", 1))?;
    let nodes = place.path().join("nodes");
    let demo = Demo { exit: true, folder: Some(nodes.clone()), input: Some(files), ..Demo::default() };
    let refused = format!("{:#}", told(demo).await.unwrap_err());
    assert!(refused.contains("referrals/aa-hanau.hessen.example.ndjson:1"), "{refused}");
    assert!(!nodes.exists());
    Ok(())
}
