//! Feedback levels of clauses, by bits: the first level by the lowest.

use lotse_core::feedback::FeedbackLevel;

/// Writes other feedback levels into every clause of an agreement's text.
pub(super) fn with_feedback_levels(text: &str, levels: u8) -> String {
    let named = FeedbackLevel::ALL.into_iter().enumerate().filter(|(index, _)| levels & (1 << index) != 0);
    let names: Vec<String> = named.map(|(_, level)| format!("\"{}\"", level.name())).collect();
    let line = |line: &str| match line {
        line if line.starts_with("feedback_levels = ") => format!("feedback_levels = [{}]\n", names.join(", ")),
        line => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
