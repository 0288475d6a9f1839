//! `/sites`: where assets stand.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use service::{Name, TimeZoneName};
use telemetry::{CustomerId, SiteId, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::Body,
    list::{Listed, Listing, NoFilter, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};

/// A place of a customer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SiteView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: SiteId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Its IANA time zone, in which people there read times.
    #[schema(value_type = String)]
    pub time_zone: TimeZoneName,
    /// When it was entered.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<service::Site> for SiteView {
    fn from(site: service::Site) -> Self {
        Self {
            id: site.id,
            customer: site.customer,
            name: site.name,
            time_zone: site.time_zone,
            created_at: site.created_at,
        }
    }
}

/// A site to enter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSite {
    /// Its id; the next free `SITE-0001` when none is given.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    id: Option<SiteId>,
    /// Whose it is.
    #[schema(value_type = String)]
    customer: CustomerId,
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// Its IANA time zone; UTC when none is given.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    time_zone: Option<TimeZoneName>,
}

/// List sites by id.
#[utoipa::path(get, path = "/sites", tag = "ledger", params(PageParams),
    responses((status = 200, description = "A page of sites", content(
        (Page<SiteView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<NoFilter>,
) -> Result<Response, Problem> {
    let mut sites = api.parts.service.sites().await?;
    sites.sort_by(|a, b| a.id.cmp(&b.id));
    let sites = sites.into_iter().map(SiteView::from).collect();
    Ok(list.cut(sites, |site: &SiteView| site.id.to_string()))
}

impl Listed for SiteView {
    const NAME: &'static str = "sites";
    const COLUMNS: &'static [&'static str] = &["id", "customer", "name", "time_zone", "created_at"];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.id.to_string()),
            Cell::text(self.customer.to_string()),
            Cell::text(self.name.as_str()),
            Cell::text(self.time_zone.as_str()),
            Cell::plain(self.created_at),
        ]
    }
}

/// Enter a site.
#[utoipa::path(post, path = "/sites", tag = "ledger", request_body = NewSite,
    responses((status = 201, body = SiteView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<NewSite>,
) -> Result<(StatusCode, Json<SiteView>), Problem> {
    let new = service::NewSite {
        id: new.id,
        customer: new.customer,
        name: new.name,
        time_zone: new.time_zone.unwrap_or_else(TimeZoneName::utc),
    };
    let site = api.parts.service.create_site(new).await?;
    Ok((StatusCode::CREATED, Json(site.into())))
}
