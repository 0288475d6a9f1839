//! `/customers`: whose assets are maintained.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use service::Name;
use telemetry::{CustomerId, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::Body,
    list::{Listed, Listing, NoFilter, PageParams},
    page::Page,
    problem::Problem,
    table::Cell,
};

/// A customer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CustomerView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: CustomerId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// When it was entered.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<service::Customer> for CustomerView {
    fn from(customer: service::Customer) -> Self {
        Self {
            id: customer.id,
            name: customer.name,
            created_at: customer.created_at,
        }
    }
}

/// A customer to enter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    /// Its id; the next free `CUS-0001` when none is given.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    id: Option<CustomerId>,
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
}

/// List customers by id.
#[utoipa::path(get, path = "/customers", tag = "ledger", params(PageParams),
    responses((status = 200, description = "A page of customers", content(
        (Page<CustomerView> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list(
    State(api): State<Shared>,
    list: Listing<NoFilter>,
) -> Result<Response, Problem> {
    let mut customers = api.parts.service.customers().await?;
    customers.sort_by(|a, b| a.id.cmp(&b.id));
    let customers = customers.into_iter().map(CustomerView::from).collect();
    Ok(list.cut(customers, |customer: &CustomerView| customer.id.to_string()))
}

impl Listed for CustomerView {
    const NAME: &'static str = "customers";
    const COLUMNS: &'static [&'static str] = &["id", "name", "created_at"];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.id.to_string()),
            Cell::text(self.name.as_str()),
            Cell::plain(self.created_at),
        ]
    }
}

/// Enter a customer.
#[utoipa::path(post, path = "/customers", tag = "ledger", request_body = NewCustomer,
    responses((status = 201, body = CustomerView),
        (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(
    State(api): State<Shared>,
    Body(new): Body<NewCustomer>,
) -> Result<(StatusCode, Json<CustomerView>), Problem> {
    let new = service::NewCustomer {
        id: new.id,
        name: new.name,
    };
    let customer = api.parts.service.create_customer(new).await?;
    Ok((StatusCode::CREATED, Json(customer.into())))
}
