//! Customers, sites and engineers.

use sqlx::SqliteConnection;
use telemetry::{CustomerId, EngineerId, SiteId};

use super::{Service, commit, failed, not_found, rows, taken_or_failed};
use crate::{Customer, Engineer, NewCustomer, NewEngineer, NewSite, ServiceError, Site};

/// Customers, sites and engineers of one installation fit one page each; the lists stop here.
const MAX_LISTED: u32 = 10_000;

impl Service {
    /// Enters a customer.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] when the id is taken, and [`ServiceError::Database`].
    pub async fn create_customer(&self, new: NewCustomer) -> Result<Customer, ServiceError> {
        let doing = "entering a customer";
        let mut tx = self.begin(doing).await?;
        let id = match new.id {
            Some(id) => id,
            None => CustomerId::new(&free_id(&mut tx, FreeId::CUSTOMER).await?)?,
        };
        let customer = Customer {
            id,
            name: new.name,
            created_at: self.now(),
        };
        insert_customer(&mut tx, &customer).await?;
        commit(tx, doing).await?;
        Ok(customer)
    }

    /// Every customer, in the order of entry.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn customers(&self) -> Result<Vec<Customer>, ServiceError> {
        let found = sqlx::query("SELECT * FROM customers ORDER BY number LIMIT ?")
            .bind(MAX_LISTED)
            .fetch_all(&self.inner.read)
            .await
            .map_err(failed("listing customers"))?;
        found.iter().map(rows::customer).collect()
    }

    /// Enters a site.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an unknown customer, [`ServiceError::Conflict`] when the
    /// id is taken, and [`ServiceError::Database`].
    pub async fn create_site(&self, new: NewSite) -> Result<Site, ServiceError> {
        let doing = "entering a site";
        let mut tx = self.begin(doing).await?;
        let known: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM customers WHERE id = ?)")
                .bind(new.customer.as_str())
                .fetch_one(&mut *tx)
                .await
                .map_err(failed(doing))?;
        if !known {
            return Err(not_found("customer", new.customer.as_str()));
        }
        let id = match new.id {
            Some(id) => id,
            None => SiteId::new(&free_id(&mut tx, FreeId::SITE).await?)?,
        };
        let site = Site {
            id,
            customer: new.customer,
            name: new.name,
            time_zone: new.time_zone,
            created_at: self.now(),
        };
        insert_site(&mut tx, &site).await?;
        commit(tx, doing).await?;
        Ok(site)
    }

    /// Every site, in the order of entry.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn sites(&self) -> Result<Vec<Site>, ServiceError> {
        let found = sqlx::query("SELECT * FROM sites ORDER BY number LIMIT ?")
            .bind(MAX_LISTED)
            .fetch_all(&self.inner.read)
            .await
            .map_err(failed("listing sites"))?;
        found.iter().map(rows::site).collect()
    }

    /// Enters an engineer.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for too many skills, [`ServiceError::Conflict`] when the id is
    /// taken, and [`ServiceError::Database`].
    pub async fn create_engineer(&self, new: NewEngineer) -> Result<Engineer, ServiceError> {
        let doing = "entering an engineer";
        if new.skills.len() > NewEngineer::MAX_SKILLS {
            return Err(ServiceError::Invalid {
                field: "skills",
                problem: format!(
                    "{} were given; give at most {}",
                    new.skills.len(),
                    NewEngineer::MAX_SKILLS
                ),
            });
        }
        let mut tx = self.begin(doing).await?;
        let id = match new.id {
            Some(id) => id,
            None => EngineerId::new(&free_id(&mut tx, FreeId::ENGINEER).await?)?,
        };
        let engineer = Engineer {
            id,
            name: new.name,
            skills: new.skills,
        };
        let skills = serde_json::json!(engineer.skills).to_string();
        sqlx::query("INSERT INTO engineers (id, name, skills, created_at) VALUES (?, ?, ?, ?)")
            .bind(engineer.id.as_str())
            .bind(engineer.name.as_str())
            .bind(skills)
            .bind(self.now().as_micros())
            .execute(&mut *tx)
            .await
            .map_err(taken_or_failed("engineer", engineer.id.as_str(), doing))?;
        commit(tx, doing).await?;
        Ok(engineer)
    }

    /// Every engineer, in the order of entry.
    ///
    /// # Errors
    /// [`ServiceError::Database`] and [`ServiceError::Unreadable`].
    pub async fn engineers(&self) -> Result<Vec<Engineer>, ServiceError> {
        let found = sqlx::query("SELECT * FROM engineers ORDER BY number LIMIT ?")
            .bind(MAX_LISTED)
            .fetch_all(&self.inner.read)
            .await
            .map_err(failed("listing engineers"))?;
        found.iter().map(rows::engineer).collect()
    }
}

/// Every customer there is.
pub(super) async fn all_customers(
    connection: &mut SqliteConnection,
) -> Result<Vec<Customer>, ServiceError> {
    let found = sqlx::query("SELECT * FROM customers")
        .fetch_all(connection)
        .await
        .map_err(failed("reading the customers"))?;
    found.iter().map(rows::customer).collect()
}

/// Every site there is.
pub(super) async fn all_sites(
    connection: &mut SqliteConnection,
) -> Result<Vec<Site>, ServiceError> {
    let found = sqlx::query("SELECT * FROM sites")
        .fetch_all(connection)
        .await
        .map_err(failed("reading the sites"))?;
    found.iter().map(rows::site).collect()
}

pub(super) async fn insert_customer(
    connection: &mut SqliteConnection,
    customer: &Customer,
) -> Result<(), ServiceError> {
    sqlx::query("INSERT INTO customers (id, name, created_at) VALUES (?, ?, ?)")
        .bind(customer.id.as_str())
        .bind(customer.name.as_str())
        .bind(customer.created_at.as_micros())
        .execute(connection)
        .await
        .map_err(taken_or_failed(
            "customer",
            customer.id.as_str(),
            "entering a customer",
        ))?;
    Ok(())
}

pub(super) async fn insert_site(
    connection: &mut SqliteConnection,
    site: &Site,
) -> Result<(), ServiceError> {
    sqlx::query(
        "INSERT INTO sites (id, customer, name, time_zone, created_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(site.id.as_str())
    .bind(site.customer.as_str())
    .bind(site.name.as_str())
    .bind(site.time_zone.as_str())
    .bind(site.created_at.as_micros())
    .execute(connection)
    .await
    .map_err(taken_or_failed("site", site.id.as_str(), "entering a site"))?;
    Ok(())
}

/// How ids are made up in one table.
struct FreeId {
    prefix: &'static str,
    highest: &'static str,
    taken: &'static str,
}

impl FreeId {
    const CUSTOMER: Self = Self {
        prefix: "CUS",
        highest: "SELECT coalesce(max(number), 0) FROM customers",
        taken: "SELECT EXISTS (SELECT 1 FROM customers WHERE id = ?)",
    };
    const SITE: Self = Self {
        prefix: "SITE",
        highest: "SELECT coalesce(max(number), 0) FROM sites",
        taken: "SELECT EXISTS (SELECT 1 FROM sites WHERE id = ?)",
    };
    const ENGINEER: Self = Self {
        prefix: "ENG",
        highest: "SELECT coalesce(max(number), 0) FROM engineers",
        taken: "SELECT EXISTS (SELECT 1 FROM engineers WHERE id = ?)",
    };
}

/// The next id of a table that nobody has chosen by hand.
async fn free_id(connection: &mut SqliteConnection, table: FreeId) -> Result<String, ServiceError> {
    let doing = "looking for a free id";
    let highest: i64 = sqlx::query_scalar(table.highest)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(doing))?;
    let mut number = highest;
    loop {
        number += 1;
        let id = format!("{}-{number:04}", table.prefix);
        let taken: bool = sqlx::query_scalar(table.taken)
            .bind(&id)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(doing))?;
        if !taken {
            return Ok(id);
        }
    }
}
