//! `/customers`: whose assets are maintained.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use service::{Contact, ContactLanguage, Name};
use telemetry::{CustomerId, Timestamp};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Body, Id},
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
    /// Where it is told of planned visits; null when it wants no mail.
    pub contact_email: Option<String>,
    /// In which language, `en` or `zh`.
    #[schema(value_type = String)]
    pub language: ContactLanguage,
}

impl CustomerView {
    fn of(customer: service::Customer, contacts: &[Contact]) -> Self {
        let contact = contacts.iter().find(|one| one.customer == customer.id);
        Self {
            id: customer.id,
            name: customer.name,
            created_at: customer.created_at,
            contact_email: contact.and_then(|contact| contact.email.clone()),
            language: contact.map_or_else(ContactLanguage::default, |contact| contact.language),
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
    let contacts = api.parts.service.contacts().await?;
    let view = |customer| CustomerView::of(customer, &contacts);
    let customers = customers.into_iter().map(view).collect();
    Ok(list.cut(customers, |customer: &CustomerView| customer.id.to_string()))
}

impl Listed for CustomerView {
    const NAME: &'static str = "customers";
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "created_at", "contact_email", "language"];

    fn row(self) -> Vec<Cell> {
        vec![
            Cell::text(self.id.to_string()),
            Cell::text(self.name.as_str()),
            Cell::plain(self.created_at),
            Cell::text(self.contact_email.unwrap_or_default()),
            Cell::plain(self.language.as_str()),
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
    Ok((StatusCode::CREATED, Json(CustomerView::of(customer, &[]))))
}

/// How a customer is reached; what is missing stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerUpdate {
    /// Where it is told of planned visits; an empty text for no mail.
    #[serde(default)]
    contact_email: Option<String>,
    /// In which language, `en` or `zh`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    language: Option<ContactLanguage>,
}

/// Say how a customer is reached.
#[utoipa::path(patch, path = "/customers/{id}", tag = "ledger", request_body = CustomerUpdate,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = CustomerView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn update(
    State(api): State<Shared>,
    Id(id): Id<CustomerId>,
    Body(update): Body<CustomerUpdate>,
) -> Result<Json<CustomerView>, Problem> {
    let service = &api.parts.service;
    let contacts = service.contacts().await?;
    let known = contacts.into_iter().find(|one| one.customer == id);
    let mut contact = known.ok_or_else(|| Problem::no_such("customer", &id))?;
    if let Some(email) = update.contact_email {
        let email = email.trim();
        contact.email = (!email.is_empty()).then(|| email.to_owned());
    }
    contact.language = update.language.unwrap_or(contact.language);
    service.set_contact(&contact).await?;
    api.parts.notify.notify_one();
    let customers = service.customers().await?;
    let customer = customers.into_iter().find(|one| one.id == id);
    let customer = customer.ok_or_else(|| Problem::no_such("customer", &id))?;
    Ok(Json(CustomerView::of(customer, &[contact])))
}
