//! `/rule-reports`: what rules said.

use axum::{extract::State, response::Response};
use historian::FindingKind;
use telemetry::{Finding, RuleReport, RuleState};

use super::{FindingFilter, answer};
use crate::api::{
    Shared,
    list::{Listed, Listing, PageParams},
    page::Page,
    problem::Problem,
    schema,
    table::Cell,
};

/// List what rules said by event time: a report names every rule that began or ceased to hold on
/// a device.
#[utoipa::path(get, path = "/rule-reports", tag = "findings", params(FindingFilter, PageParams),
    responses((status = 200, description = "A page of rule reports", content(
        (Page<schema::RuleReport> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn rule_reports(
    State(api): State<Shared>,
    list: Listing<FindingFilter>,
) -> Result<Response, Problem> {
    answer(&api, list, FindingKind::Rule, |finding| match finding {
        Finding::Rule(report) => Some(report),
        _ => None,
    })
    .await
}

impl Listed for RuleReport {
    const NAME: &'static str = "rule-reports";
    const COLUMNS: &'static [&'static str] = &["asset", "device", "at", "verdicts"];

    fn row(self) -> Vec<Cell> {
        let word = |verdict: &telemetry::RuleVerdict| {
            let state = match verdict.state {
                RuleState::Raised => "raised",
                RuleState::Cleared => "cleared",
            };
            format!("{}/{} {state}", verdict.rule, verdict.version)
        };
        let verdicts: Vec<String> = self.verdicts.iter().map(word).collect();
        vec![
            Cell::text(self.asset.to_string()),
            Cell::text(self.device.to_string()),
            Cell::plain(self.at),
            Cell::text(verdicts.join("; ")),
        ]
    }
}
