//! Who is told about cases and who works on them: people, rotas and chains.
//!
//! | module    | what it holds                                                              |
//! |-----------|----------------------------------------------------------------------------|
//! | [`rota`]  | who is on call at a given moment, in the time zone of the plant             |
//! | [`chain`] | who is told next while nobody takes a case in hand, as a pure state machine |
//! | `desk`    | assign, comment and hand over on the case desk                              |
//!
//! Everything but the desk is pure: a rota, a chain and a moment in, an answer out.

pub mod chain;
mod desk;
pub mod rota;
mod store;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetry::{ChannelId, PersonId, RotaId, Severity, SiteId, Timestamp};

pub use chain::{Chain, Escalation, Step, Target, Unless};
pub use rota::{OnCall, Override, Rota, who_is_on_call};
pub use store::CalendarFeed;

/// The language in which somebody is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// 简体中文.
    Zh,
}

impl Language {
    /// The word in storage, API and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::En, Self::Zh]
            .into_iter()
            .find(|language| language.as_str() == text)
    }
}

/// The role of whoever plans the work.
pub const PLANNER: &str = "planner";
/// The role above the planners.
pub const REGIONAL_MANAGER: &str = "regional_manager";
/// The last role of a chain.
pub const HEADQUARTERS: &str = "headquarters";

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Their id, which also stands in the log of a case.
    pub id: PersonId,
    /// Their name.
    pub name: String,
    /// What they are called in chains, such as [`PLANNER`].
    pub roles: Vec<String>,
    /// Only about these sites; about all when empty.
    pub sites: Vec<SiteId>,
    /// The language they are written to.
    pub language: Language,
    /// Where mail reaches them, and what a chat message names.
    pub email: Option<String>,
    /// How they are told.
    pub channel: ChannelId,
    /// How they are told of what is critical; [`Person::channel`] when it is none.
    pub urgent_channel: Option<ChannelId>,
}

impl Person {
    /// Whether they are told about what happens at a site. What lies at no site concerns all.
    pub fn covers(&self, site: Option<&SiteId>) -> bool {
        self.sites.is_empty() || site.is_none_or(|site| self.sites.contains(site))
    }

    /// How they are told of something this urgent.
    pub fn channel_for(&self, severity: Option<Severity>) -> &ChannelId {
        match &self.urgent_channel {
            Some(urgent) if severity == Some(Severity::Critical) => urgent,
            _ => &self.channel,
        }
    }
}

/// Everybody there is, and the turns they take.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Directory {
    /// By id.
    pub people: BTreeMap<PersonId, Person>,
    /// Who takes turns.
    pub rotas: Vec<Rota>,
    /// Who is told when; the first one that fits a case holds.
    pub chains: Vec<Chain>,
}

impl Directory {
    /// The chain of a case; none when nobody is to be told of it.
    pub fn chain_for(&self, severity: Severity, site: Option<&SiteId>) -> Option<&Chain> {
        self.chains
            .iter()
            .filter(|chain| chain.fits(severity, site))
            .max_by(|a, b| {
                // The narrower chain holds: of this site, then of the higher severity; else the first.
                let of_site = |chain: &Chain| !chain.sites.is_empty();
                let narrower = (of_site(a), a.severity).cmp(&(of_site(b), b.severity));
                narrower.then(std::cmp::Ordering::Greater)
            })
    }

    /// The chain with this id.
    pub fn chain(&self, id: &telemetry::ChainId) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.id == *id)
    }

    /// The same with those who stand in as people entered it, after those of the configuration.
    #[must_use]
    pub fn with(&self, entered: &[(RotaId, Override)]) -> Self {
        let mut directory = self.clone();
        for rota in &mut directory.rotas {
            let its = entered.iter().filter(|(of, _)| *of == rota.id);
            rota.overrides.extend(its.map(|(_, one)| one.clone()));
        }
        directory
    }

    /// The rota with this id.
    pub fn rota(&self, id: &RotaId) -> Option<&Rota> {
        self.rotas.iter().find(|rota| rota.id == *id)
    }

    /// Whom a step of a chain means for something at this site, now. Nobody twice, in the order
    /// of ids.
    pub fn meant(
        &self,
        target: &Target,
        assignee: Option<&PersonId>,
        site: Option<&SiteId>,
        at: Timestamp,
    ) -> Vec<&Person> {
        let mut ids: Vec<&PersonId> = match target {
            Target::Person(id) => vec![id],
            Target::Assignee => assignee.into_iter().collect(),
            Target::Channel(_) => Vec::new(),
            Target::Role(role) => {
                let has = |person: &&Person| person.roles.contains(role) && person.covers(site);
                self.people
                    .values()
                    .filter(has)
                    .map(|one| &one.id)
                    .collect()
            }
            Target::Rota(id) => self
                .rotas
                .iter()
                .filter(|rota| id.as_ref().is_none_or(|id| rota.id == *id))
                .filter(|rota| rota.covers(site))
                .filter_map(|rota| {
                    let found = who_is_on_call(rota, at)?.person;
                    self.people.get(&found).map(|person| &person.id)
                })
                .collect(),
        };
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .filter_map(|id| self.people.get(id))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use telemetry::ChainId;

    use super::*;

    fn chain(id: &str, severity: Severity, sites: &[&str]) -> Chain {
        Chain {
            id: ChainId::new(id).unwrap(),
            severity,
            sites: sites
                .iter()
                .map(|site| SiteId::new(site).unwrap())
                .collect(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn the_narrowest_chain_holds_and_of_equals_the_first() {
        let directory = Directory {
            chains: vec![
                chain("all", Severity::Warning, &[]),
                chain("again", Severity::Warning, &[]),
                chain("urgent", Severity::Critical, &[]),
                chain("hall", Severity::Warning, &["S-1"]),
            ],
            ..Directory::default()
        };
        let site = |id: &str| SiteId::new(id).unwrap();
        for (severity, at, expected) in [
            (Severity::Watch, None, None),
            (Severity::Warning, None, Some("all")),
            (Severity::Critical, None, Some("urgent")),
            (Severity::Critical, Some(site("S-2")), Some("urgent")),
            (Severity::Critical, Some(site("S-1")), Some("hall")),
            (Severity::Warning, Some(site("S-1")), Some("hall")),
        ] {
            let found = directory.chain_for(severity, at.as_ref());
            let found = found.map(|chain| chain.id.as_str());
            assert_eq!(found, expected, "{severity} {at:?}");
        }
    }
}
