//! An agreement in plain sentences, for those who have to answer for it.

use super::words::{Language, Term};
use super::{Agreement, Clause, ConsentRequirement, OnEnd, Party, check};
use crate::agency::AgencyKind;
use crate::category::Categories;
use crate::purpose::RecordKind;
use crate::time::Date;

/// Writes an agreement in plain sentences: who may send what to whom, for which purpose, on which consent, how long it
/// is held, what is reported back, and what happens at the end. Every party and every clause is there.
pub fn show(agreement: &Agreement, language: Language) -> String {
    let page = Page { agreement, language };
    let mut parts = vec![page.head(), page.principles(), page.parties()];
    parts.extend(agreement.clauses.iter().map(|clause| page.clause(clause)));
    parts.push(page.end());
    parts.join("\n")
}

struct Page<'a> {
    agreement: &'a Agreement,
    language: Language,
}

impl Page<'_> {
    fn say(&self, german: impl Into<String>, english: impl Into<String>) -> String {
        self.language.choose((german.into(), english.into()))
    }

    fn head(&self) -> String {
        let Agreement { title, version, id, minimum_schema_level: level, .. } = self.agreement;
        let (first, last) = (self.day(self.agreement.first_day()), self.day(self.agreement.last_day()));
        let zone = self.agreement.calendar().term(self.language);
        self.say(
            format!(
                "Kooperationsvereinbarung „{title}“\nFassung {version}, Kennung {id}\n\nSie gilt vom {first} bis \
                 einschließlich {last} ({zone}) und setzt Schemastufe {level} voraus.\n"
            ),
            format!(
                "Cooperation agreement \"{title}\"\nVersion {version}, identifier {id}\n\nIt is in force from {first} \
                 until the end of {last} ({zone}) and needs schema level {level}.\n"
            ),
        )
    }

    fn principles(&self) -> String {
        self.say(
            "Was diese Vereinbarung nicht nennt, ist nicht erlaubt. Übermittelt wird nur, was eine Klausel und die \
             Einwilligung (bei Stellenangeboten die Freigabe des Arbeitgebers) beide nennen. Mit dem Widerruf der \
             Einwilligung endet jede Übermittlung, die auf ihr beruht. Was schon übermittelt ist, ruft Lotse in dieser \
             Schemastufe nicht zurück: Die Kopie endet mit ihrer Frist; bis dahin unterrichten sich die Stellen selbst. \
             Gesetzliche Pflichten bleiben unberührt.\n",
            "What this agreement does not name is not allowed. Only what a clause and the consent (for vacancies the \
             employer's release) both name is sent. When a consent is withdrawn, nothing more is sent that rests on it. \
             What was sent before is not called back by Lotse at this schema level: the copy ends with its term; until \
             then the agencies inform each other themselves. Statutory duties are not affected.\n",
        )
    }

    fn parties(&self) -> String {
        let lines: Vec<_> = self.agreement.parties.iter().map(|party| self.party(party)).collect();
        format!("{}\n{}", self.say("Parteien", "Parties"), lines.concat())
    }

    fn party(&self, party: &Party) -> String {
        let Party { name, agency, root_fingerprint, supervisory_authority: authority, .. } = party;
        let mut text = format!("- {name} ({agency}): {}", party.kind.term(self.language));
        if !party.regions.is_empty() {
            let regions = party.regions.join(", ");
            text += &self.say(format!("; zuständig für {regions}"), format!("; works for {regions}"));
        }
        let missing = self.say("nicht genannt", "not named");
        let authority = if authority.is_empty() { &missing } else { authority };
        text +=
            &self.say(format!("; Datenschutzaufsicht: {authority}"), format!("; supervisory authority: {authority}"));
        text += &self.say(
            format!(".\n  Wurzelschlüssel (SHA-256): {root_fingerprint}\n"),
            format!(".\n  Root key (SHA-256): {root_fingerprint}\n"),
        );
        if let Some(day) = party.ended_on {
            let day = self.day(day);
            text += &self.say(
                format!("  Die Stelle endet mit Ablauf des {day}; danach sendet und empfängt sie nichts"),
                format!("  The agency ends with {day}; after it it neither sends nor receives"),
            );
            if let Some(next) = &party.succeeded_by {
                text += &self.say(format!("; ihr folgt {next}"), format!("; it is succeeded by {next}"));
            }
            text += ".\n";
        }
        text
    }

    fn clause(&self, clause: &Clause) -> String {
        let heading = self.say("Klausel", "Clause");
        let mut lines = vec![format!("{heading} {}: {}", clause.id, clause.title)];
        lines.push(self.way(clause));
        lines.push(self.contents(clause));
        lines.push(self.consent(clause));
        lines.push(self.retention(clause));
        lines.push(self.feedback(clause));
        lines.push(self.basis(clause));
        lines.join("\n") + "\n"
    }

    fn way(&self, clause: &Clause) -> String {
        let (from, to) = (self.agencies(&clause.from_kinds), self.agencies(&clause.to_kinds));
        let (kind, purpose) = (clause.record_kind.term(self.language), clause.purpose.term(self.language));
        self.say(
            format!("  Senden dürfen: {from}.\n  Empfangen dürfen: {to}.\n  Gegenstand: {kind}. Zweck: {purpose}."),
            format!("  These may send: {from}.\n  These may receive: {to}.\n  Subject: {kind}. Purpose: {purpose}."),
        )
    }

    /// Lists kinds of agencies, each with the parties of that kind.
    fn agencies(&self, kinds: &[AgencyKind]) -> String {
        let of = |kind: AgencyKind| self.agreement.parties.iter().filter(move |party| party.kind == kind);
        let one = |&kind: &AgencyKind| {
            let names: Vec<_> = of(kind).map(|party| party.name.as_str()).collect();
            let here = if names.is_empty() { self.say("keine Partei", "no party") } else { names.join(", ") };
            format!("{} [{here}]", kind.term(self.language))
        };
        kinds.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn contents(&self, clause: &Clause) -> String {
        let special = clause.categories.special();
        let ordinary = self.categories(clause.categories.without(special));
        let mut text = self.say(format!("  Daten: {ordinary}."), format!("  Data: {ordinary}."));
        if !special.is_empty() {
            let special = self.categories(special);
            text += &self.say(format!(" Besondere Kategorien: {special}."), format!(" Special categories: {special}."));
        }
        text
    }

    fn categories(&self, categories: Categories) -> String {
        if categories.is_empty() {
            return self.say("keine Daten über Arbeitsuchende", "no data on persons seeking work");
        }
        categories.iter().map(|category| category.term(self.language)).collect::<Vec<_>>().join(", ")
    }

    fn consent(&self, clause: &Clause) -> String {
        let needed = clause.consent_required.term(self.language);
        let oral = match clause.consent_required {
            ConsentRequirement::ExplicitConsent => self.say(" Mündlich genügt nicht.", " Oral consent does not do."),
            ConsentRequirement::Consent | ConsentRequirement::EmployerRelease => String::new(),
        };
        self.say(format!("  Nötig ist: {needed}.{oral}"), format!("  Needed: {needed}.{oral}"))
    }

    fn retention(&self, clause: &Clause) -> String {
        let (days, register) = (clause.retention_days, clause.register_retention_days);
        let ends = match self.agreement.on_end {
            OnEnd::Purge => self.say(
                "endet die Einwilligung oder diese Vereinbarung früher, dann bis dahin",
                "or until the consent or this agreement ends, if that is earlier",
            ),
            OnEnd::KeepUntilLease => self
                .say("endet die Einwilligung früher, dann bis dahin", "or until the consent ends, if that is earlier"),
        };
        self.say(
            format!(
                "  Der Empfänger hält die Daten höchstens {days} Tage; {ends}. Der Absender führt die Übermittlung \
                 {register} Tage in seinem Verzeichnis."
            ),
            format!(
                "  The recipient holds the data for at most {days} days, {ends}. The sender keeps the transfer in its \
                 register for {register} days."
            ),
        )
    }

    fn feedback(&self, clause: &Clause) -> String {
        let levels: Vec<_> = clause.feedback_levels.iter().map(|level| level.term(self.language)).collect();
        let levels = levels.join(self.language.choose((" – oder ", " – or ")));
        match clause.record_kind {
            RecordKind::Referral => self.say(
                format!("  Der Empfänger meldet zurück, soweit die Einwilligung es zulässt: {levels}."),
                format!("  The recipient reports back, as far as the consent allows: {levels}."),
            ),
            _ => self.say("  Zurückgemeldet wird nichts.", "  Nothing is reported back."),
        }
    }

    fn basis(&self, clause: &Clause) -> String {
        let reference = &clause.legal_reference;
        let mut text = self.say(format!("  Norm: {reference}."), format!("  Norm: {reference}."));
        for basis in &clause.usual_basis {
            let (words, since) = (&basis.text, self.day(basis.valid_from));
            let until = basis.valid_until.map(|day| self.day(day));
            let until = until.map_or(String::new(), |day| self.say(format!(", bis {day}"), format!(", until {day}")));
            text += &self.say(
                format!("\n  Übliche Grundlage (ab {since}{until}): {words}."),
                format!("\n  Usual basis (from {since}{until}): {words}."),
            );
        }
        text
    }

    fn end(&self) -> String {
        let last = self.day(self.agreement.last_day());
        let copies = match self.agreement.on_end {
            OnEnd::Purge => self.say(
                "Kopien, die dann noch gehalten werden, löscht jede Stelle bei sich.",
                "Copies that are still held then are deleted by each agency on its side.",
            ),
            OnEnd::KeepUntilLease => self.say(
                "Kopien bleiben bis zu ihrer Frist; dann löscht sie jede Stelle bei sich.",
                "Copies stay until their time is over; then each agency deletes them on its side.",
            ),
        };
        self.say(
            format!(
                "Ende\nMit Ablauf des {last} endet die Erlaubnis zu übermitteln. {copies} Eine neue Fassung braucht \
                 die Siegel aller Parteien, der alten und der neuen, und beginnt frühestens 24 Stunden danach. Jede \
                 Partei kann die Vereinbarung bei sich sofort aussetzen.\n\n{}\n",
                check::caveat(Language::German)
            ),
            format!(
                "End\nThe permission to send ends with {last}. {copies} A new version needs the seals of all parties, \
                 old and new, and begins 24 hours after them at the earliest. Each party can suspend the agreement on \
                 its side at once.\n\n{}\n",
                check::caveat(Language::English)
            ),
        )
    }

    fn day(&self, day: Date) -> String {
        self.say(format!("{:02}.{:02}.{:04}", day.day(), day.month(), day.year()), day.to_string())
    }
}

#[cfg(test)]
mod tests;
