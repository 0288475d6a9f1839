//! Job plans: what is done about a failure mode of a kind of machine, by whom, with which parts.
//!
//! Plans are written in files, one a kind of machine, because steps that belong to every job on
//! it (locking it out, the test run) and its safety notes are the same for all of its failure
//! modes. An order carries a copy, so that what was planned stays readable after the file changed.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use telemetry::{AssetModelId, Explanation, FailureMode};

/// Steps of a plan, at most; more are a manual.
const MAX_STEPS: usize = 40;
/// Parts of a plan, and safety notes, at most.
const MAX_PARTS: usize = 40;
/// The longest step: a week of shifts.
const MAX_MINUTES: u32 = 2_400;
/// People on a job, at most.
const MAX_CREW: u32 = 20;
/// A text, in characters.
const MAX_TEXT_CHARS: usize = 1_000;
/// Skills of a plan, at most.
const MAX_SKILLS: usize = 10;

/// What is done about one failure mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobPlan {
    /// Kind of machine and failure mode, such as `centrifugal-pump/bearing-wear`.
    pub id: String,
    /// Rises with each change of the file.
    pub version: u32,
    /// The kind of machine; none fits any.
    pub asset_model: Option<AssetModelId>,
    /// What it is done about.
    pub failure_mode: FailureMode,
    /// What is done, in a few words.
    pub name: Explanation,
    /// How many people do it together.
    pub crew: u32,
    /// How long it takes, in seconds: the sum of the steps.
    pub duration_s: u64,
    /// What the people have to know.
    pub skills: Vec<String>,
    /// How long what is renewed usually lasts, in days; none when nothing is renewed.
    pub life_days: Option<f64>,
    /// What a failure of this mode costs with all that follows, in the currency of planning; none
    /// leaves it to the asset model's ratio.
    pub failure_cost: Option<f64>,
    /// What can hurt people.
    pub safety: Vec<Explanation>,
    /// What is done, in order.
    pub steps: Vec<PlanStep>,
    /// What is needed.
    pub parts: Vec<PlanPart>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// How long it takes.
    pub minutes: u32,
    /// What to do.
    pub text: Explanation,
}

/// A part that a plan needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanPart {
    /// Its number or designation.
    pub part: String,
    /// Its name.
    pub name: Explanation,
    /// How many, or how much in the unit of its name.
    pub quantity: f64,
    /// The price of one, in the currency of planning.
    pub unit_cost: f64,
}

impl JobPlan {
    /// The price of all parts.
    pub fn parts_cost(&self) -> f64 {
        let price = |part: &PlanPart| part.quantity * part.unit_cost;
        self.parts.iter().map(price).sum()
    }

    /// Hours of work of the whole crew.
    pub fn crew_hours(&self) -> f64 {
        self.duration_s as f64 / 3_600.0 * f64::from(self.crew)
    }
}

/// A file of plans as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The kind of machine; left out, the plans are for any machine that has none of its own.
    #[serde(default)]
    asset_model: Option<AssetModelId>,
    /// Counted up with each change.
    version: u32,
    /// What a failure costs, where a plan does not say otherwise.
    #[serde(default)]
    failure_cost: Option<f64>,
    /// For every plan of the file.
    #[serde(default)]
    safety: Vec<PlanText>,
    /// Steps before those of each plan.
    #[serde(default)]
    begin: Vec<StepText>,
    /// Steps after those of each plan.
    #[serde(default)]
    finish: Vec<StepText>,
    /// The plans.
    plan: Vec<PlanEntry>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanEntry {
    failure_mode: FailureMode,
    en: String,
    zh: String,
    #[serde(default = "one")]
    crew: u32,
    skills: Vec<String>,
    #[serde(default)]
    life_days: Option<f64>,
    #[serde(default)]
    failure_cost: Option<f64>,
    #[serde(default)]
    safety: Vec<PlanText>,
    steps: Vec<StepText>,
    #[serde(default)]
    parts: Vec<PartText>,
}

/// Most jobs are done by one person.
const fn one() -> u32 {
    1
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanText {
    en: String,
    zh: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    minutes: u32,
    en: String,
    zh: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartText {
    part: String,
    en: String,
    zh: String,
    quantity: f64,
    unit_cost: f64,
}

/// A plan that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is not valid: {problem}")]
pub struct InvalidPlan {
    /// Where in the file, such as `plan[2].steps[0].minutes`.
    pub key: String,
    /// What is wrong.
    pub problem: &'static str,
}

impl PlanFile {
    /// The plans of the file.
    ///
    /// # Errors
    /// The first that is wrong, with its place in the file.
    pub fn into_plans(self) -> Result<Vec<JobPlan>, InvalidPlan> {
        check("version".to_owned(), self.version >= 1, "count from 1")?;
        check_cost("failure_cost".to_owned(), self.failure_cost)?;
        check(
            "plan".to_owned(),
            !self.plan.is_empty(),
            "at least one is needed",
        )?;
        for (name, steps) in [("begin", &self.begin), ("finish", &self.finish)] {
            check_steps(name, steps)?;
        }
        check_texts("safety", &self.safety)?;
        let mut plans: Vec<JobPlan> = Vec::with_capacity(self.plan.len());
        for (at, entry) in self.plan.iter().enumerate() {
            let key = |name: &str| format!("plan[{at}].{name}");
            let again = plans
                .iter()
                .any(|plan| plan.failure_mode == entry.failure_mode);
            check(key("failure_mode"), !again, "another plan is about it")?;
            entry.check(&key)?;
            plans.push(self.plan(entry));
        }
        Ok(plans)
    }

    fn plan(&self, entry: &PlanEntry) -> JobPlan {
        let of = self.asset_model.as_ref();
        let steps = [&self.begin, &entry.steps, &self.finish];
        let steps: Vec<PlanStep> = steps
            .into_iter()
            .flatten()
            .map(|step| PlanStep {
                minutes: step.minutes,
                text: words(&step.en, &step.zh),
            })
            .collect();
        let safety = self.safety.iter().chain(&entry.safety);
        JobPlan {
            id: format!(
                "{}/{}",
                of.map_or("any", |model| model.as_str()),
                entry.failure_mode
            ),
            version: self.version,
            asset_model: self.asset_model.clone(),
            failure_mode: entry.failure_mode.clone(),
            name: words(&entry.en, &entry.zh),
            crew: entry.crew,
            duration_s: steps.iter().map(|step| u64::from(step.minutes) * 60).sum(),
            skills: entry.skills.clone(),
            life_days: entry.life_days,
            failure_cost: entry.failure_cost.or(self.failure_cost),
            safety: safety.map(|note| words(&note.en, &note.zh)).collect(),
            steps,
            parts: entry
                .parts
                .iter()
                .map(|part| PlanPart {
                    part: part.part.clone(),
                    name: words(&part.en, &part.zh),
                    quantity: part.quantity,
                    unit_cost: part.unit_cost,
                })
                .collect(),
        }
    }
}

impl PlanEntry {
    fn check(&self, key: &dyn Fn(&str) -> String) -> Result<(), InvalidPlan> {
        check_text(key("en"), &self.en)?;
        check_text(key("zh"), &self.zh)?;
        check(
            key("crew"),
            (1..=MAX_CREW).contains(&self.crew),
            "use 1 to 20 people",
        )?;
        let skilled = (1..=MAX_SKILLS).contains(&self.skills.len());
        check(key("skills"), skilled, "name 1 to 10")?;
        for (at, skill) in self.skills.iter().enumerate() {
            check_text(key(&format!("skills[{at}]")), skill)?;
        }
        let lasts = self
            .life_days
            .is_none_or(|days| (1.0..=36_500.0).contains(&days));
        check(key("life_days"), lasts, "use 1 to 36,500 days")?;
        check_cost(key("failure_cost"), self.failure_cost)?;
        check_texts(&key("safety"), &self.safety)?;
        check(
            key("steps"),
            !self.steps.is_empty(),
            "at least one is needed",
        )?;
        check_steps(&key("steps"), &self.steps)?;
        check(key("parts"), self.parts.len() <= MAX_PARTS, "at most 40")?;
        for (at, part) in self.parts.iter().enumerate() {
            let key = |name: &str| key(&format!("parts[{at}].{name}"));
            check_text(key("part"), &part.part)?;
            check_text(key("en"), &part.en)?;
            check_text(key("zh"), &part.zh)?;
            let some = part.quantity > 0.0 && part.quantity <= 1e6;
            check(key("quantity"), some, "must be above zero")?;
            check_cost(key("unit_cost"), Some(part.unit_cost))?;
        }
        Ok(())
    }
}

fn check(key: String, holds: bool, problem: &'static str) -> Result<(), InvalidPlan> {
    if holds {
        Ok(())
    } else {
        Err(InvalidPlan { key, problem })
    }
}

fn check_cost(key: String, cost: Option<f64>) -> Result<(), InvalidPlan> {
    let payable = cost.is_none_or(|cost| (0.0..=1e12).contains(&cost));
    check(key, payable, "use zero or more")
}

fn check_text(key: String, text: &str) -> Result<(), InvalidPlan> {
    let readable = !text.trim().is_empty()
        && text.chars().count() <= MAX_TEXT_CHARS
        && !text.chars().any(char::is_control);
    check(
        key,
        readable,
        "use 1 to 1,000 characters without control characters",
    )
}

fn check_texts(key: &str, notes: &[PlanText]) -> Result<(), InvalidPlan> {
    check(key.to_owned(), notes.len() <= MAX_PARTS, "at most 40")?;
    for (at, note) in notes.iter().enumerate() {
        check_text(format!("{key}[{at}].en"), &note.en)?;
        check_text(format!("{key}[{at}].zh"), &note.zh)?;
    }
    Ok(())
}

fn check_steps(key: &str, steps: &[StepText]) -> Result<(), InvalidPlan> {
    check(key.to_owned(), steps.len() <= MAX_STEPS, "at most 40")?;
    for (at, step) in steps.iter().enumerate() {
        let minutes = (1..=MAX_MINUTES).contains(&step.minutes);
        check(
            format!("{key}[{at}].minutes"),
            minutes,
            "use 1 to 2,400 minutes",
        )?;
        check_text(format!("{key}[{at}].en"), &step.en)?;
        check_text(format!("{key}[{at}].zh"), &step.zh)?;
    }
    Ok(())
}

fn words(en: &str, zh: &str) -> Explanation {
    Explanation {
        en: en.trim().to_owned(),
        zh: zh.trim().to_owned(),
    }
}

/// The plans that are in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobPlans(BTreeMap<(Option<AssetModelId>, FailureMode), Arc<JobPlan>>);

impl JobPlans {
    /// Plans by kind of machine and failure mode; a later one takes the place of an earlier one.
    pub fn new(plans: impl IntoIterator<Item = JobPlan>) -> Self {
        let keyed = plans.into_iter().map(|plan| {
            let key = (plan.asset_model.clone(), plan.failure_mode.clone());
            (key, Arc::new(plan))
        });
        Self(keyed.collect())
    }

    /// The plan for a failure mode of a kind of machine: its own one, else the one for this mode
    /// of any machine, else the one for what nobody could name.
    pub fn find(&self, model: Option<&AssetModelId>, mode: &FailureMode) -> Option<&Arc<JobPlan>> {
        let own = model.and_then(|model| self.0.get(&(Some(model.clone()), mode.clone())));
        own.or_else(|| self.0.get(&(None, mode.clone())))
            .or_else(|| self.0.get(&(None, FailureMode::unclassified())))
    }

    /// Every plan, those for any machine first, then by kind of machine and failure mode.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<JobPlan>> {
        self.0.values()
    }

    /// The mean of the crew hours of all plans; none without plans.
    pub fn mean_crew_hours(&self) -> Option<f64> {
        let hours: f64 = self.0.values().map(|plan| plan.crew_hours()).sum();
        (!self.0.is_empty()).then(|| hours / self.0.len() as f64)
    }
}
