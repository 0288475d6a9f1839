//! From a capsule to the case again.

use std::{collections::BTreeMap, sync::Arc};

use alerting::{CaseDesk, CaseSettings, offline::OfflineDesk, rules::Engine};
use analytics::Fleet;
use anyhow::{Context, Result};
use dashboards::{CaseReplay, Recomputed};
use telemetry::{
    AssetId, BoxFuture, CaseId, DeviceId, Evidence, Finding, Place as Standing, Places,
};

use super::Capsule;

/// Recomputes cases from what was frozen with them.
#[derive(Debug)]
pub(crate) struct Replays {
    /// Who keeps the capsules.
    pub(crate) cases: CaseDesk,
}

impl CaseReplay for Replays {
    fn replay<'a>(&'a self, case: &'a CaseId) -> BoxFuture<'a, Result<Option<Recomputed>, String>> {
        Box::pin(async move {
            let told = |error: anyhow::Error| format!("{error:#}");
            let kept = self.cases.capsule(case).await;
            let Some(bytes) = kept.map_err(|error| told(error.into()))? else {
                return Ok(None);
            };
            let work = tokio::task::spawn_blocking(move || {
                let capsule = Capsule::decode(&bytes)?;
                capsule.recompute()
            });
            let done = work.await.map_err(|error| error.to_string())?;
            done.map(Some).map_err(told)
        })
    }
}

/// Where a machine stands plays no part in a score.
struct Anywhere;

impl Places for Anywhere {
    fn place(&self, _: &AssetId) -> Option<Standing> {
        None
    }
}

impl Capsule {
    /// Runs the production code over the frozen states and rows.
    ///
    /// # Errors
    /// When a state or a record in it cannot be read: by an older program, or damaged.
    pub(super) fn recompute(&self) -> Result<Recomputed> {
        let findings = self.findings()?;
        let mut desk = OfflineDesk::new(CaseSettings::default());
        desk.observe(&findings, &Anywhere, self.opened_at);
        let again = desk.open_cases().find(|held| held.case.id == self.case);
        let again = again.map(|held| &held.case.evidence);
        Ok(self.compared(again))
    }

    /// What analytics and rules make of the rows.
    fn findings(&self) -> Result<Vec<Finding>> {
        let models = self.models.iter();
        let models: BTreeMap<_, _> = models
            .map(|(id, model)| (id.clone(), Arc::new(model.clone())))
            .collect();
        let mut fleet = Fleet::new(self.config.clone())?;
        let mut rules = Engine::new(self.config.lateness);
        for (key, bytes) in &self.states {
            if key.starts_with(alerting::rules::SNAPSHOT_PREFIX) {
                rules.restore(key, &bytes.0)?;
            } else {
                fleet.restore(key, &bytes.0)?;
            }
        }
        let mut assign = |device: &DeviceId| self.assignment(device, &models);
        rules.resume(&mut assign);
        let mut findings = Vec::new();
        for bytes in &self.records {
            let record = historian::journal::from_bytes(&bytes.0)
                .context("a record of the capsule is damaged")?;
            let from = findings.len();
            fleet.apply(&record, &mut assign, &mut findings);
            let mut said = Vec::new();
            rules.apply(&record, &mut assign, &findings[from..], &mut said);
            findings.append(&mut said);
        }
        Ok(findings)
    }

    fn compared(&self, again: Option<&Evidence>) -> Recomputed {
        let recorded = self.evidence.statistics.score;
        let recomputed = again.map(|evidence| evidence.statistics.score);
        let same = again.is_some_and(|again| is_same(&self.evidence, again));
        let why = (!same).then(|| self.why(recomputed));
        Recomputed {
            same,
            recorded,
            recomputed,
            rows: self.rows,
            devices: self.watched.len() as u64,
            program: self.program.clone(),
            why,
        }
    }

    /// What a reader has to know about a capsule that does not say the same.
    fn why(&self, recomputed: Option<f64>) -> String {
        let present = env!("CARGO_PKG_VERSION");
        let versions = if self.program == present {
            String::new()
        } else {
            format!(
                "; it was made by version {}, and this is version {present}",
                self.program
            )
        };
        match recomputed {
            Some(_) => format!("the numbers differ{versions}"),
            None => format!("no case opens from the frozen rows{versions}"),
        }
    }
}

/// Whether two pieces of evidence are equal to the last bit of every number.
fn is_same(a: &Evidence, b: &Evidence) -> bool {
    // A number is written with the digits that give the same bits when they are read.
    let text = |evidence| serde_json::to_value(evidence).ok();
    let score = |evidence: &Evidence| evidence.statistics.score.to_bits();
    score(a) == score(b) && text(a).is_some() && text(a) == text(b)
}
