//! `/savings`: what watching the machines was worth, and the orders each figure is made of.

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use service::{Figure, Figures, Grouping, LineKey, Month, Name, SavingsEntry, SavingsKind};
use telemetry::{AssetId, AssetModelId, CaseId, CustomerId, FailureMode, Timestamp, WorkOrderId};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, Shared,
    list::{Listed, Listing, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};
use crate::labels::{self, Text};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SavingsFilter {
    /// Only of this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// Only of this kind of machine.
    #[param(value_type = Option<String>)]
    model: Option<AssetModelId>,
    /// From this month on, as in `2026-03`.
    from: Option<String>,
    /// Up to and with this month.
    to: Option<String>,
    /// What lines are told apart by: `customer`, `model`, `month`, several with commas between
    /// them; all three when it is left out, and one line a currency for `none`.
    by: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntryFilter {
    /// Only of this customer.
    #[param(value_type = Option<String>)]
    customer: Option<CustomerId>,
    /// Only of this kind of machine.
    #[param(value_type = Option<String>)]
    model: Option<AssetModelId>,
    /// Only of this month, as in `2026-03`.
    month: Option<String>,
    /// Only of this kind: `avoided`, `false_alarm`, `missed`, `too_late` or `sensor`.
    kind: Option<String>,
}

/// A figure: how many, and the money of those that are priced.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FigureView {
    /// Orders.
    pub count: u32,
    /// What they are worth together; negative is lost.
    pub money: f64,
    /// Orders whose costs nobody knows; they are counted and not in `money`.
    pub unpriced: u32,
}

impl From<Figure> for FigureView {
    fn from(figure: Figure) -> Self {
        Self {
            count: figure.count,
            money: figure.money,
            unpriced: figure.unpriced,
        }
    }
}

/// A line of the summary.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SavingsView {
    /// The month, as in `2026-03`, by the time of the machines; null when not grouped by it.
    pub month: Option<String>,
    /// The customer; null when not grouped by it.
    #[schema(value_type = Option<String>)]
    pub customer: Option<CustomerId>,
    /// Their name.
    #[schema(value_type = Option<String>)]
    pub customer_name: Option<Name>,
    /// The kind of machine; null when not grouped by it.
    #[schema(value_type = Option<String>)]
    pub model: Option<AssetModelId>,
    /// Its name.
    pub model_name: Option<Text>,
    /// Three letters; empty where costs are given in no currency or not known.
    pub currency: String,
    /// Faults mended before the machine failed.
    pub avoided: FigureView,
    /// Visits for nothing.
    pub false_alarms: FigureView,
    /// Machines that failed without a case.
    pub missed: FigureView,
    /// Machines that failed while their case stood open.
    pub too_late: FigureView,
    /// Sensors put right.
    pub sensors: FigureView,
    /// Avoided failures less false alarms and sensors. Missed failures would have come without
    /// watching too.
    pub net: f64,
}

/// One order of the ledger.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SavingsEntryView {
    /// What it counts as: `avoided`, `false_alarm`, `missed`, `too_late` or `sensor`.
    pub kind: String,
    /// The asset.
    #[schema(value_type = String)]
    pub asset: AssetId,
    /// Its name.
    #[schema(value_type = String)]
    pub asset_name: Name,
    /// The customer.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// The kind of machine.
    #[schema(value_type = String)]
    pub model: AssetModelId,
    /// The month it is booked in.
    pub month: String,
    /// The case behind it.
    #[schema(value_type = Option<String>)]
    pub case: Option<CaseId>,
    /// The order.
    #[schema(value_type = String)]
    pub work_order: WorkOrderId,
    /// What failed, or seemed to.
    #[schema(value_type = Option<String>)]
    pub failure_mode: Option<FailureMode>,
    /// Its name.
    pub failure_mode_name: Option<Text>,
    /// When the work was done.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it is worth; null when its costs are not known.
    pub money: Option<f64>,
    /// Three letters, or empty.
    pub currency: String,
    /// Why it counts so.
    pub words: Text,
}

/// List what watching was worth, newest month first.
///
/// Every figure opens to its orders by `/savings/entries` with the same customer, kind of
/// machine and month.
#[utoipa::path(get, path = "/savings", tag = "savings", params(SavingsFilter, PageParams),
    responses((status = 200, description = "A page of lines", content(
        (Page<SavingsView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<SavingsFilter>,
) -> Result<Response, Problem> {
    let filter = &list.filter;
    let by = grouping(filter.by.as_deref())?;
    let from = month("from", filter.from.as_deref())?;
    let to = month("to", filter.to.as_deref())?;
    let mut entries = api.parts.service.savings(from, to).await?;
    entries.retain(|entry| is_of(entry, filter.customer.as_ref(), filter.model.as_ref()));
    let lines = service::savings::summary(&entries, by);
    // The order of lines is that of their keys; their place is the cursor.
    let views = lines.into_iter().map(|line| line_view(&api, line));
    let numbered: Vec<(usize, SavingsView)> = views.enumerate().collect();
    let page = list.window.cut(numbered, |(at, _)| format!("{at:08}"));
    Ok(list.answer(Page {
        items: page.items.into_iter().map(|(_, view)| view).collect(),
        next: page.next,
    }))
}

/// List the orders that the ledger is made of, newest work first.
#[utoipa::path(get, path = "/savings/entries", tag = "savings", params(EntryFilter, PageParams),
    responses((status = 200, description = "A page of orders", content(
        (Page<SavingsEntryView> = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn entries(
    State(api): State<Shared>,
    list: Listing<EntryFilter>,
) -> Result<Response, Problem> {
    let filter = &list.filter;
    let month = month("month", filter.month.as_deref())?;
    let kind = kind(filter.kind.as_deref())?;
    let mut entries = api.parts.service.savings(month, month).await?;
    entries.retain(|entry| {
        is_of(entry, filter.customer.as_ref(), filter.model.as_ref())
            && kind.is_none_or(|kind| entry.kind == kind)
    });
    let views = entries.into_iter().map(|entry| entry_view(&api, entry));
    let key = |view: &SavingsEntryView| {
        let newest_first = i64::MAX.abs_diff(view.at.as_micros());
        format!("{newest_first:020} {}", view.work_order)
    };
    let mut views: Vec<SavingsEntryView> = views.collect();
    views.sort_by_key(key);
    Ok(list.cut(views, key))
}

fn is_of(
    entry: &SavingsEntry,
    customer: Option<&CustomerId>,
    model: Option<&AssetModelId>,
) -> bool {
    customer.is_none_or(|customer| entry.order.customer == *customer)
        && model.is_none_or(|model| entry.order.model == *model)
}

fn grouping(text: Option<&str>) -> Result<Grouping, Problem> {
    let Some(text) = text else {
        return Ok(Grouping {
            customer: true,
            model: true,
            month: true,
        });
    };
    let mut by = Grouping {
        customer: false,
        model: false,
        month: false,
    };
    for word in text.split(',') {
        match word {
            "customer" => by.customer = true,
            "model" => by.model = true,
            "month" => by.month = true,
            "none" => {}
            other => {
                let problem = format!("{other:?} is none of customer, model, month, none");
                return Err(Problem::invalid_parameter("by", problem));
            }
        }
    }
    Ok(by)
}

fn month(parameter: &'static str, text: Option<&str>) -> Result<Option<Month>, Problem> {
    let parse = |text: &str| {
        Month::parse(text).ok_or_else(|| {
            let problem = format!("{text:?} is no month; use one as in 2026-03");
            Problem::invalid_parameter(parameter, problem)
        })
    };
    text.map(parse).transpose()
}

fn kind(text: Option<&str>) -> Result<Option<SavingsKind>, Problem> {
    let parse = |text: &str| {
        SavingsKind::parse(text).ok_or_else(|| {
            let known = SavingsKind::ALL.map(SavingsKind::as_str).join(", ");
            Problem::invalid_parameter("kind", format!("{text:?} is no kind; use {known}"))
        })
    };
    text.map(parse).transpose()
}

fn line_view(api: &Api, (key, figures): (LineKey, Figures)) -> SavingsView {
    let model = key.model.as_ref().and_then(|model| api.parts.model(model));
    let (customer, customer_name) = key.customer.unzip();
    let figure = |kind| FigureView::from(figures.of(kind));
    SavingsView {
        month: key.month.map(|month| month.to_string()),
        customer,
        customer_name,
        model_name: model.map(labels::model_name),
        model: key.model,
        currency: key.currency,
        avoided: figure(SavingsKind::Avoided),
        false_alarms: figure(SavingsKind::FalseAlarm),
        missed: figure(SavingsKind::Missed),
        too_late: figure(SavingsKind::TooLate),
        sensors: figure(SavingsKind::Sensor),
        net: figures.net(),
    }
}

fn entry_view(api: &Api, entry: SavingsEntry) -> SavingsEntryView {
    let model = api.parts.model(&entry.order.model);
    let mode = entry.order.failure_mode.as_ref();
    SavingsEntryView {
        kind: entry.kind.as_str().to_owned(),
        month: entry.month().to_string(),
        currency: entry.currency().to_owned(),
        words: words(entry.kind),
        failure_mode_name: mode.and_then(|mode| labels::failure_mode_name(model, mode)),
        case: entry.case,
        money: entry.money,
        asset: entry.order.asset,
        asset_name: entry.order.asset_name,
        customer: entry.order.customer,
        model: entry.order.model,
        work_order: entry.order.id,
        failure_mode: entry.order.failure_mode,
        at: entry.order.done_at,
    }
}

fn words(kind: SavingsKind) -> Text {
    let (en, zh) = match kind {
        SavingsKind::Avoided => (
            "The fault was mended before the machine failed: what the failure would have cost, less the planned work.",
            "故障在设备失效前得到修复:节省额为失效损失减去计划维修费用。",
        ),
        SavingsKind::FalseAlarm => (
            "Somebody went there and found no fault of the machine: the visit was paid for nothing.",
            "人员到场未发现设备故障:白付一次检查费用。",
        ),
        SavingsKind::Missed => (
            "The machine failed and no case had foreseen it: what the failure cost beyond planned work.",
            "设备失效而未被预见:失效损失超出计划维修的部分。",
        ),
        SavingsKind::TooLate => (
            "The case stood open and the work was not done in time: what the failure cost beyond planned work.",
            "案例已开立但未能及时处理:失效损失超出计划维修的部分。",
        ),
        SavingsKind::Sensor => (
            "A sensor that could not be believed was put right: the price of the visit.",
            "修复了不可信的传感器:一次检查费用。",
        ),
    };
    Text::new(en, zh)
}

impl Listed for SavingsView {
    const NAME: &'static str = "savings";
    const COLUMNS: &'static [&'static str] = &[
        "month",
        "customer",
        "customer_name",
        "model",
        "currency",
        "avoided",
        "avoided_money",
        "false_alarms",
        "false_alarms_money",
        "missed",
        "missed_money",
        "too_late",
        "too_late_money",
        "sensors",
        "sensors_money",
        "unpriced",
        "net",
    ];

    fn row(self) -> Vec<Cell> {
        let figures = [
            &self.avoided,
            &self.false_alarms,
            &self.missed,
            &self.too_late,
            &self.sensors,
        ];
        let unpriced: u32 = figures.iter().map(|figure| figure.unpriced).sum();
        let counted = figures
            .iter()
            .flat_map(|figure| [Cell::plain(figure.count), Cell::plain(figure.money)]);
        let mut row = vec![
            Cell::maybe(self.month.as_ref()),
            Cell::maybe(self.customer.as_ref()),
            Cell::text(self.customer_name.as_ref().map_or("", Name::as_str)),
            Cell::maybe(self.model.as_ref()),
            Cell::text(self.currency.as_str()),
        ];
        row.extend(counted);
        row.extend([Cell::plain(unpriced), Cell::plain(self.net)]);
        row
    }
}

impl Listed for SavingsEntryView {
    const NAME: &'static str = "savings-entries";
    const COLUMNS: &'static [&'static str] = &[
        "month",
        "kind",
        "asset",
        "asset_name",
        "customer",
        "model",
        "case",
        "work_order",
        "failure_mode",
        "at",
        "money",
        "currency",
    ];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::plain(self.month),
            Cell::plain(self.kind),
            Cell::text(self.asset.to_string()),
            Cell::text(self.asset_name.as_str()),
            Cell::text(self.customer.to_string()),
            Cell::text(self.model.to_string()),
            Cell::maybe(self.case),
            Cell::text(self.work_order.to_string()),
            Cell::maybe(self.failure_mode),
            Cell::plain(self.at),
            Cell::maybe(self.money),
            Cell::text(self.currency),
        ]
    }
}
