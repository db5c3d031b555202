//! Alarms that were logged: each once when it is raised, and once when it has gone.

use std::collections::BTreeMap;

/// Alarms that were logged and have not gone.
#[derive(Debug, Default)]
pub struct SaidAlarms(BTreeMap<String, String>);

impl SaidAlarms {
    /// Takes the present alarms, and logs those that are new and those that have gone. Another amount or day makes no other alarm.
    pub fn log(&mut self, alarms: Vec<String>) {
        let (raised, gone) = self.take(alarms);
        raised.iter().for_each(|alarm| tracing::warn!(%alarm, "something needs a human"));
        gone.iter().for_each(|alarm| tracing::info!(%alarm, "this needs nobody any longer"));
    }

    fn take(&mut self, alarms: Vec<String>) -> (Vec<String>, Vec<String>) {
        let kind = |alarm: &String| alarm.chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>();
        let present: BTreeMap<String, String> = alarms.into_iter().map(|alarm| (kind(&alarm), alarm)).collect();
        let raised = present.iter().filter(|(kind, _)| !self.0.contains_key(*kind)).map(|(_, alarm)| alarm.clone());
        let gone = self.0.iter().filter(|(kind, _)| !present.contains_key(*kind)).map(|(_, alarm)| alarm.clone());
        let news = (raised.collect(), gone.collect());
        self.0 = present;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_logged_once_when_it_is_raised_and_once_when_it_has_gone() {
        let mut said = SaidAlarms::default();
        let mut take = |alarms: &[&str]| said.take(alarms.iter().map(ToString::to_string).collect());
        let none: Vec<String> = vec![];
        assert_eq!(take(&["database: 300 MiB free"]), (vec!["database: 300 MiB free".to_string()], none.clone()));
        assert_eq!(take(&["database: 299 MiB free"]), (none.clone(), none.clone()), "another amount is no news");
        let (raised, gone) = take(&["own card: version 1 ends on 2027-11-02"]);
        assert_eq!((raised.len(), gone), (1, vec!["database: 299 MiB free".to_string()]));
        let (raised, gone) = take(&["own card: version 1 has expired on 2027-11-02"]);
        assert_eq!((raised.len(), gone.len()), (1, 1), "the end is news");
    }
}
