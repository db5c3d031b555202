//! Who may look at the pages without a certificate: one-time links, and the sessions that they open.
//!
//! Both live in memory and end when the node stops. Their secrets are kept as hashes: what can be read here opens nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lotse_core::id::Digest;
use lotse_core::random::{self, Random};
use lotse_core::time::Timestamp;

use crate::identity::SpiffeId;

/// How long a one-time link counts.
pub const LINK_LIFE: Duration = Duration::from_secs(10 * 60);

/// How long a session lasts that nobody uses.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);

/// How long a session lasts at most.
pub const SESSION_LIFE: Duration = Duration::from_secs(8 * 60 * 60);

/// The most links that are open at the same time.
const MAX_LINKS: usize = 64;

/// The most sessions that are open at the same time.
const MAX_SESSIONS: usize = 256;

/// How many links that do not count may be tried from one network within [`TRY_WINDOW`].
const MAX_TRIES: u32 = 10;

/// How long tries are counted together.
const TRY_WINDOW: Duration = Duration::from_secs(60);

/// How many networks' tries are told apart; more wait for their turn.
const MAX_TRYING: usize = 1024;

/// A secret of 256 bits that a link or a cookie carries. Never logged: it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    fn draw(random: &dyn Random) -> Token {
        Token(random::bytes(random))
    }

    /// Reads what [`Token::text`] wrote.
    pub fn parse(text: &str) -> Option<Token> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Token)
    }

    /// Writes it for a URL or a cookie.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    fn hash(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// Where the pages take a link: this path, then its token.
pub const ENTRANCE: &str = "/enter/";

/// Why a link opens no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It is none, was used, or its time is over.
    NotOpen,
    /// Too many that do not count were tried from this network, or too many sessions are open.
    TooMany,
}

/// What an officer had open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Sessions.
    pub sessions: usize,
    /// Links that were not used.
    pub links: usize,
}

/// The open links and sessions.
#[derive(Default)]
pub struct Sessions(Mutex<Held>);

#[derive(Default)]
struct Held {
    links: HashMap<Digest, Link>,
    sessions: HashMap<Digest, Session>,
    tries: HashMap<IpAddr, Tries>,
}

struct Link {
    officer: SpiffeId,
    made_at: Timestamp,
}

struct Session {
    officer: SpiffeId,
    opened_at: Timestamp,
    used_at: Timestamp,
}

struct Tries {
    since: Timestamp,
    count: u32,
}

impl Sessions {
    /// Makes a link for an officer. Returns its secret and until when it counts; nothing if too many are open.
    pub fn offer(&self, officer: SpiffeId, now: Timestamp, random: &dyn Random) -> Option<(Token, Timestamp)> {
        let mut held = self.held(now);
        if held.links.len() >= MAX_LINKS {
            return None;
        }
        let token = Token::draw(random);
        held.links.insert(token.hash(), Link { officer, made_at: now });
        Some((token, now.plus(LINK_LIFE)))
    }

    /// Opens a session with a link, which does not count afterwards. Older sessions of the same officer end: whoever took one over is
    /// out, and an officer who did not use the link notices. `from` is the network that asks.
    pub fn open(
        &self,
        link: Option<&Token>,
        from: IpAddr,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<(Token, SpiffeId), Closed> {
        let mut held = self.held(now);
        if held.has_tried_too_often(from) || held.sessions.len() >= MAX_SESSIONS {
            return Err(Closed::TooMany);
        }
        let Some(Link { officer, .. }) = link.and_then(|link| held.links.remove(&link.hash())) else {
            held.tries.entry(from).or_insert(Tries { since: now, count: 0 }).count += 1;
            return Err(Closed::NotOpen);
        };
        held.sessions.retain(|_, older| older.officer != officer);
        let token = Token::draw(random);
        held.sessions.insert(token.hash(), Session { officer: officer.clone(), opened_at: now, used_at: now });
        Ok((token, officer))
    }

    /// Finds the officer of a session, which is used by that.
    pub fn officer(&self, session: &Token, now: Timestamp) -> Option<SpiffeId> {
        let mut held = self.held(now);
        let session = held.sessions.get_mut(&session.hash())?;
        session.used_at = now;
        Some(session.officer.clone())
    }

    /// Ends a session.
    pub fn end(&self, session: &Token) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.remove(&session.hash());
    }

    /// Ends the sessions of an officer and the links that were not used.
    pub fn end_all(&self, officer: &SpiffeId, now: Timestamp) -> Ended {
        let mut held = self.held(now);
        let (sessions, links) = (held.sessions.len(), held.links.len());
        held.sessions.retain(|_, session| session.officer != *officer);
        held.links.retain(|_, link| link.officer != *officer);
        Ended { sessions: sessions - held.sessions.len(), links: links - held.links.len() }
    }

    /// Returns what is open now.
    fn held(&self, now: Timestamp) -> MutexGuard<'_, Held> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.links.retain(|_, link| is_within(link.made_at, LINK_LIFE, now));
        held.sessions.retain(|_, session| {
            is_within(session.opened_at, SESSION_LIFE, now) && is_within(session.used_at, SESSION_IDLE, now)
        });
        held.tries.retain(|_, tries| is_within(tries.since, TRY_WINDOW, now));
        held
    }
}

impl Held {
    fn has_tried_too_often(&self, from: IpAddr) -> bool {
        match self.tries.get(&from) {
            Some(tries) => tries.count >= MAX_TRIES,
            None => self.tries.len() >= MAX_TRYING,
        }
    }
}

/// False after the clock stepped back, too: rather a session too few.
fn is_within(since: Timestamp, life: Duration, now: Timestamp) -> bool {
    since <= now && now.since(since) < life
}

#[cfg(test)]
mod tests {
    use lotse_core::time::DAY;

    use super::*;
    use crate::identity::Role;
    use crate::testing::SeededRandom;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn officer(name: &str) -> SpiffeId {
        SpiffeId::new("jc.example".parse().unwrap(), Role::Officer, name).unwrap()
    }

    fn noon() -> Timestamp {
        Timestamp::from_micros(0).plus(20_000 * DAY)
    }

    fn random() -> SeededRandom {
        SeededRandom::new("sessions")
    }

    #[test]
    fn a_link_opens_one_session_for_the_officer_it_was_made_for() {
        let (sessions, random, now) = (Sessions::default(), random(), noon());
        let (link, until) = sessions.offer(officer("anna"), now, &random).unwrap();
        assert_eq!(until, now.plus(LINK_LIFE));
        let (session, named) = sessions.open(Some(&link), HERE, now, &random).ok().unwrap();
        assert_eq!(named, officer("anna"));
        assert_eq!(sessions.officer(&session, now), Some(officer("anna")));
        assert!(sessions.open(Some(&link), HERE, now, &random).is_err(), "used once");
        assert_eq!(sessions.officer(&link, now), None, "a link is no session");
        sessions.end(&session);
        assert_eq!(sessions.officer(&session, now), None);
    }

    #[test]
    fn links_and_sessions_end_by_themselves() {
        let (sessions, random, now) = (Sessions::default(), random(), noon());
        let late = sessions.offer(officer("anna"), now, &random).unwrap().0;
        assert!(sessions.open(Some(&late), HERE, now.plus(LINK_LIFE), &random).is_err());
        let link = sessions.offer(officer("anna"), now, &random).unwrap().0;
        let idle = sessions.open(Some(&link), HERE, now, &random).ok().unwrap().0;
        assert_eq!(sessions.officer(&idle, now.plus(SESSION_IDLE)), None);
        let link = sessions.offer(officer("anna"), now, &random).unwrap().0;
        let busy = sessions.open(Some(&link), HERE, now, &random).ok().unwrap().0;
        let step = Duration::from_secs(25 * 60);
        let mut at = now;
        while is_within(now, SESSION_LIFE, at) {
            assert!(sessions.officer(&busy, at).is_some(), "used every 25 minutes");
            at = at.plus(step);
        }
        assert_eq!(sessions.officer(&busy, at), None, "however busy");
    }

    #[test]
    fn a_clock_that_steps_back_prolongs_nothing() {
        let (sessions, random, now) = (Sessions::default(), random(), noon());
        let link = sessions.offer(officer("anna"), now, &random).unwrap().0;
        let session = sessions.open(Some(&link), HERE, now, &random).ok().unwrap().0;
        assert_eq!(sessions.officer(&session, now.minus(DAY)), None);
        assert_eq!(sessions.officer(&session, now), None);
    }

    #[test]
    fn guessing_is_stopped_for_the_network_that_guesses() {
        let (sessions, random, now) = (Sessions::default(), random(), noon());
        let link = sessions.offer(officer("anna"), now, &random).unwrap().0;
        for _ in 0..MAX_TRIES {
            let guess = Token::draw(&random);
            assert_eq!(sessions.open(Some(&guess), HERE, now, &random).err(), Some(Closed::NotOpen));
        }
        assert_eq!(
            sessions.open(Some(&link), HERE, now, &random).err(),
            Some(Closed::TooMany),
            "not even the right one"
        );
        let elsewhere: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(sessions.open(Some(&link), elsewhere, now, &random).is_ok());
        let later = now.plus(TRY_WINDOW);
        assert_eq!(sessions.open(None, HERE, later, &random).err(), Some(Closed::NotOpen));
    }

    #[test]
    fn many_links_do_not_fill_the_memory() {
        let (sessions, random, now) = (Sessions::default(), random(), noon());
        for _ in 0..MAX_LINKS {
            sessions.offer(officer("anna"), now, &random).unwrap();
        }
        assert!(sessions.offer(officer("anna"), now, &random).is_none());
        assert!(sessions.offer(officer("anna"), now.plus(LINK_LIFE), &random).is_some());
    }

    #[test]
    fn a_token_reads_what_it_writes_and_nothing_else() {
        let token = Token::draw(&random());
        assert!(Token::parse(&token.text()) == Some(token));
        for other in ["", "AAAA", "not/base64url", &"A".repeat(44)] {
            assert!(Token::parse(other).is_none(), "{other}");
        }
    }
}
