//! What is known of an order, under the names that mappings use.

use serde_json::{Value, json};
use service::{Service, WorkOrder, delivery::Claimed};
use telemetry::{Explanation, Places as _, Timestamp};

use super::template::Facts;

/// Every fact there is.
pub(crate) const NAMES: &[&str] = &[
    "asset",
    "asset_name",
    "case",
    "crew",
    "currency",
    "customer",
    "due_by",
    "due_by_ms",
    "due_from",
    "due_from_ms",
    "duration_h",
    "evidence",
    "expected_avoided",
    "failure_cost",
    "failure_mode",
    "kind",
    "note",
    "opened_at",
    "planned_cost",
    "priority",
    "reference",
    "severity",
    "signal",
    "site",
    "skills",
    "text_en",
    "text_zh",
    "title_en",
    "title_en_30",
    "title_en_40",
    "title_zh",
    "work_order",
];

/// The facts of an order; see docs/planning.md for each.
pub(crate) fn of_order(
    order: &WorkOrder,
    case: &str,
    service: &Service,
    link: Option<&str>,
) -> Facts {
    let place = service.place(&order.asset);
    let title = title(order);
    let first = |count: usize| title.en.chars().take(count).collect::<String>();
    let evidence = evidence(order, link);
    let text = text(order, &evidence);
    let plan = order.plan.as_ref();
    let costs = order.costs.as_ref();
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    let mut facts = Facts::from([
        ("asset", json!(order.asset)),
        ("asset_name", json!(order.asset_name)),
        ("case", json!(case)),
        ("crew", json!(plan.map(|plan| plan.crew))),
        ("currency", json!(costs.map(|costs| &costs.currency))),
        ("due_by", json!(time(order.due_by))),
        ("due_by_ms", json!(millis(order.due_by))),
        ("due_from", json!(time(order.due_from))),
        ("due_from_ms", json!(millis(order.due_from))),
        ("evidence", json!(evidence)),
        ("failure_mode", json!(order.failure_mode)),
        ("kind", json!(order.kind.as_str())),
        ("note", json!("")),
        ("opened_at", json!(time(order.opened_at))),
        ("priority", json!(order.priority)),
        ("reference", Value::Null),
        ("severity", json!(order.severity)),
        ("signal", json!(order.signal)),
        ("title_en_30", json!(first(30))),
        ("title_en_40", json!(first(40))),
        ("title_en", json!(title.en)),
        ("title_zh", json!(title.zh)),
        ("text_en", json!(text.en)),
        ("text_zh", json!(text.zh)),
        ("work_order", json!(order.id)),
    ]);
    let money = |amount: Option<f64>| json!(amount.map(f64::round));
    facts.insert("planned_cost", money(costs.map(|costs| costs.planned)));
    facts.insert("failure_cost", money(costs.map(|costs| costs.failure)));
    let avoided = costs.and_then(|costs| costs.expected_avoided);
    facts.insert("expected_avoided", money(avoided));
    let hours = plan.map(|plan| (plan.duration_s as f64 / 360.0).round() / 10.0);
    facts.insert("duration_h", json!(hours));
    let skills = plan.map(|plan| plan.skills.join(", "));
    facts.insert("skills", json!(skills));
    facts.insert("site", json!(place.as_ref().map(|place| &place.site)));
    facts.insert(
        "customer",
        json!(place.as_ref().map(|place| &place.customer)),
    );
    facts
}

/// The facts of a message: those of its order, what is said with it, and what the other system
/// calls the order.
pub(crate) fn of_message(claimed: &Claimed, service: &Service, link: Option<&str>) -> Facts {
    // The key of the order itself: what it was made under.
    let case = claimed.key.split('/').next().unwrap_or(&claimed.key);
    let mut facts = of_order(&claimed.order, case, service, link);
    facts.insert("note", json!(claimed.note));
    facts.insert("reference", json!(claimed.reference));
    facts
}

/// Where the evidence is: the page of the case.
fn evidence(order: &WorkOrder, link: Option<&str>) -> String {
    let base = link.unwrap_or_default().trim_end_matches('/');
    order
        .case
        .as_ref()
        .map_or_else(String::new, |case| format!("{base}/cases/{case}"))
}

/// What is to be done on what, in one line.
fn title(order: &WorkOrder) -> Explanation {
    let name = order.asset_name.as_str();
    let mode = order.failure_mode.as_ref();
    let (en, zh) = match (&order.plan, mode) {
        (Some(plan), _) => (plan.name.en.clone(), plan.name.zh.clone()),
        (None, Some(mode)) => (mode.to_string(), mode.to_string()),
        (None, None) => (
            order.kind.as_str().to_owned(),
            order.kind.as_str().to_owned(),
        ),
    };
    let of = order
        .signal
        .as_ref()
        .map_or_else(String::new, |signal| format!(" ({signal})"));
    Explanation {
        en: format!("{name}: {en}{of}"),
        zh: format!("{name}：{zh}{of}"),
    }
}

/// The order in words: why and by when, steps, parts, safety, where the evidence is.
fn text(order: &WorkOrder, evidence: &str) -> Explanation {
    let mut en = Vec::new();
    let mut zh = Vec::new();
    if let Some(date) = &order.date {
        en.push(date.words.en.clone());
        zh.push(date.words.zh.clone());
    }
    if let Some(plan) = &order.plan {
        for note in &plan.safety {
            en.push(format!("! {}", note.en));
            zh.push(format!("! {}", note.zh));
        }
        for (at, step) in plan.steps.iter().enumerate() {
            en.push(format!(
                "{}. {} ({} min)",
                at + 1,
                step.text.en,
                step.minutes
            ));
            zh.push(format!(
                "{}. {}（{}分钟）",
                at + 1,
                step.text.zh,
                step.minutes
            ));
        }
        for part in &plan.parts {
            en.push(format!(
                "- {} x {} ({})",
                part.quantity, part.name.en, part.part
            ));
            zh.push(format!(
                "- {} × {}（{}）",
                part.quantity, part.name.zh, part.part
            ));
        }
    }
    en.push(evidence.to_owned());
    zh.push(evidence.to_owned());
    Explanation {
        en: en.join("\n"),
        zh: zh.join("\n"),
    }
}
