//! The demonstration: five nodes in processes of their own, told to the end, and outcomes that follow the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use lotse_core::random::Random;
use lotse_node::ambient::{SystemClock, SystemRandom};
use lotse_node::commands::Context;
use lotse_node::commands::demo::{Demo, Program};
use lotse_node::commands::terminal::Terminal;
use lotse_tests::canary::{Needles, files_below};
use lotse_tests::planted::plant;
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

/// The story of the demonstration's own files: as `LOTSE_DEMO_STORY` has it, a file that holds what `lotse demo --exit` told a
/// moment ago, or told now.
async fn own_story(place: &Path) -> Result<String> {
    if let Ok(path) = std::env::var("LOTSE_DEMO_STORY") {
        return Ok(fs::read_to_string(path)?);
    }
    let nodes = place.join("nodes");
    let story = told(Demo { exit: true, folder: Some(nodes.clone()), ..Demo::default() }).await?;
    assert!(!nodes.exists(), "the folders go unless they are kept");
    Ok(story)
}

/// The agencies' ids by name, as the agreement has them.
fn agencies(folder: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(folder.join("agreement.toml"))?;
    let values = |key: &str| {
        let start = format!("{key} = \"");
        let found = text.lines().filter_map(|line| line.strip_prefix(&start)).map(|rest| rest.trim_end_matches('"'));
        found.map(String::from).collect::<Vec<_>>()
    };
    let (names, ids) = (values("name"), values("agency"));
    assert_eq!((names.len(), ids.len()), (5, 5));
    Ok(names.into_iter().zip(ids).collect())
}

/// Searches a folder again and again until `told` has come; returns what was found in it meanwhile, and how often it was searched.
async fn searched<T>(
    folder: &Path,
    needles: &Needles,
    told: impl Future<Output = T>,
) -> Result<(T, Vec<String>, usize)> {
    const PAUSE: Duration = Duration::from_secs(3);
    let (mut found, mut times) = (Vec::new(), 0);
    let mut told = std::pin::pin!(told);
    loop {
        tokio::select! {
            story = &mut told => return Ok((story, found, times)),
            () = tokio::time::sleep(PAUSE) => {}
        }
        found.extend(tokio::task::block_in_place(|| needles.find_below(folder))?);
        times += 1;
    }
}

/// One run tells both: what follows the files, and that the personal values in them stay where they belong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_holds_one_changed_consent_changes_exactly_its_own_line_and_no_name_gets_astray() -> Result<()>
{
    let place = tempfile::tempdir()?;
    let ours = own_story(place.path()).await?;
    assert!(ours.contains("Everything held."), "{ours}");
    assert!(outcomes(&ours).len() >= 50, "{ours}");
    assert!(ours.contains("not operated by the named authorities") && ours.contains("statutory duties"), "{ours}");

    let files = place.path().join("files");
    told(Demo { write_input: Some(files.clone()), ..Demo::default() }).await?;
    narrow_one_consent(&files)?;
    let planted = plant(&files, "abh-hanau.hessen.example")?;
    let agencies = agencies(&files)?;
    let kept = place.path().join("kept");
    fs::create_dir(&kept)?;
    let changed = Demo { exit: true, keep: true, folder: Some(kept.clone()), input: Some(files), ..Demo::default() };
    let needles = planted.needles();
    let (theirs, found_meanwhile, times) = searched(&kept, &needles, told(changed)).await?;
    let theirs = theirs?;
    let (before, after) = (outcomes(&ours), outcomes(&theirs));
    let gone: Vec<_> = before.difference(&after).collect();
    let new: Vec<_> = after.difference(&before).collect();
    assert!(matches!(gone[..], [line] if line.starts_with("JC-2026-0007 ") && line.contains("declined")), "{gone:?}");
    let refused = "refused CATEGORY_NOT_IN_CONSENT";
    assert!(matches!(new[..], [line] if line.starts_with("JC-2026-0007 ") && line.ends_with(refused)), "{new:?}");
    assert!(kept.join("jc-hanau.hessen.example/lotse.toml").exists() && theirs.contains("lotse run --folder"));

    let named = planted.check_story(&theirs, &agencies)?;
    assert!(named >= 80, "only {named} canaries arrived where they belong:\n{theirs}");
    let found = [found_meanwhile, needles.find_below(&kept)?].concat();
    assert!(found.is_empty(), "{} personal values:\n{}", found.len(), found.join("\n"));
    let searched_files = files_below(&kept)?;
    let ends = |end: &str| searched_files.iter().filter(|path| path.to_string_lossy().ends_with(end)).count();
    assert_eq!((ends("/data/lotse.sqlite"), ends(".example.log")), (5, 5), "databases and messages are searched");
    println!(
        "{named} canaries read by those they are for; {times} searches while the nodes ran, 1 after: nothing found"
    );
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
