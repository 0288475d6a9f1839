//! Why an asset is how it is: the verdict in words, its components, its sensors; and what a
//! person can say against the verdict: this is normal now.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use service::Name;
use telemetry::{
    AssetId, ComponentHealth, ComponentId, ConditionState, DeviceId, Event, JournalRecord,
    JournalWriter, SensorReport, SensorVerdict,
};
use utoipa::ToSchema;

use crate::{
    api::{
        Shared,
        extract::{Body, Id},
        problem::Problem,
        schema,
        summary::{self, Facts},
    },
    labels::{self, Text},
    state,
};

/// The health of a part of an asset.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComponentView {
    /// The component, as the asset model names it.
    #[schema(value_type = String)]
    pub component: ComponentId,
    /// Its name.
    pub name: Text,
    /// Its health index, 0 to 100.
    pub health: f64,
    /// The zone the index lies in.
    #[schema(value_type = schema::Zone)]
    pub zone: telemetry::Zone,
    /// How much it counts against the other components; the weights add up to 1.
    pub weight: f64,
}

/// A sensor that cannot be believed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SensorView {
    /// Who measures it.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// The name of the signal for people.
    pub label: Text,
    /// The verdict.
    #[serde(flatten)]
    #[schema(value_type = schema::SensorVerdict)]
    pub verdict: SensorVerdict,
}

/// How often a device alarms while all is well, measured after it learned its normal.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FalseAlarmsView {
    /// The device.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// Alarms counted at the usual limit; null before a day was watched.
    pub episodes: Option<u32>,
    /// Months of healthy running that were watched; null before a day was.
    pub months: Option<f64>,
    /// Alarms a month; null before a day was watched.
    pub per_month: Option<f64>,
    /// What the alarms a month do not exceed with 95 % confidence.
    pub upper_per_month: Option<f64>,
    /// Alarms a month that are bearable, as configured.
    pub budget_per_month: f64,
    /// The alarm limit that keeps the budget, as a factor of the usual one; 1 or above.
    pub limit: f64,
}

/// Who says that the present is normal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptNormal {
    /// The person.
    #[schema(value_type = String)]
    by: Name,
}

/// Accept what an asset does now as its new normal.
///
/// Its devices learn anew from the readings that follow, as after a finished order; until
/// then they give no verdict. The word goes through the journal, so that a replay learns anew
/// at the same place. An asset that is learning, or has sent nothing, has nothing to accept.
#[utoipa::path(post, path = "/assets/{id}/accept-normal", tag = "assets",
    request_body = AcceptNormal,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 202, description = "It will learn anew"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn accept_normal(
    State(api): State<Shared>,
    Id(id): Id<AssetId>,
    Body(body): Body<AcceptNormal>,
) -> Result<StatusCode, Problem> {
    let asset = api.parts.service.asset(&id).await?;
    let asset = asset.ok_or_else(|| Problem::no_such("asset", &id))?;
    let live = api.parts.fleet.get(&id);
    let devices = asset.devices.iter();
    let is_judged = devices
        .filter_map(|device| live.as_ref()?.devices.get(device)?.view.as_ref())
        .any(|view| !matches!(view.condition.state, ConditionState::Learning { .. }));
    if !is_judged {
        return Err(Problem::conflict(format!(
            "asset {id} has no normal yet that another could take the place of"
        )));
    }
    let event = Event::NormalAccepted {
        asset: id.clone(),
        by: body.by.as_str().to_owned(),
        at: api.parts.clock.now(),
    };
    let record = JournalRecord {
        events: vec![event],
        ..JournalRecord::default()
    };
    api.parts.journal.append(record).await?;
    api.parts.events.asset_changed(&id);
    Ok(StatusCode::ACCEPTED)
}

pub(super) fn explanation(facts: &Facts<'_>) -> Option<Text> {
    let condition = summary::condition(facts)?;
    let evidence = condition.evidence.as_ref();
    let (state, since) = (condition.state, condition.since);
    Some(labels::explanation(state, since, evidence, facts.model))
}

pub(super) fn components(facts: &Facts<'_>) -> Vec<ComponentView> {
    let views = summary::views(facts);
    let worst = state::worst_health(views.iter().filter_map(|view| view.assessment.as_ref()));
    let parts = worst.map_or(&[][..], |assessment| &assessment.components);
    let view = |part: &ComponentHealth| ComponentView {
        component: part.component.clone(),
        name: labels::component_name(facts.model, &part.component),
        health: part.health.get(),
        zone: part.health.zone(),
        weight: part.weight,
    };
    parts.iter().map(view).collect()
}

pub(super) fn sensors(facts: &Facts<'_>) -> Vec<SensorView> {
    let views = summary::views(facts);
    let reports = views.iter().filter_map(|view| view.sensors.as_ref());
    let of = |report: &SensorReport| {
        let device = report.device.clone();
        let view = |verdict: &SensorVerdict| SensorView {
            device: device.clone(),
            label: labels::signal_label(facts.model, &verdict.signal),
            verdict: verdict.clone(),
        };
        report.verdicts.iter().map(view).collect::<Vec<_>>()
    };
    reports.flat_map(of).collect()
}

pub(super) fn false_alarms(facts: &Facts<'_>) -> Vec<FalseAlarmsView> {
    let view = |view: &analytics::DeviceView| {
        let told = view.false_alarms;
        FalseAlarmsView {
            device: view.device.clone(),
            episodes: told.measured.map(|rate| rate.episodes),
            months: told.measured.map(|rate| rate.months),
            per_month: told.measured.map(|rate| rate.per_month),
            upper_per_month: told.measured.map(|rate| rate.upper_per_month),
            budget_per_month: told.budget_per_month,
            limit: told.limit,
        }
    };
    summary::views(facts).into_iter().map(view).collect()
}
