//! Contacts of customers.

use sqlx::Row as _;
use telemetry::CustomerId;

use super::{Service, commit, failed, not_found};
use crate::{Contact, ContactLanguage, ServiceError, contact::check_email};

impl Service {
    /// How every customer is reached, by id.
    ///
    /// # Errors
    /// [`ServiceError::Database`].
    pub async fn contacts(&self) -> Result<Vec<Contact>, ServiceError> {
        let doing = "reading the contacts of customers";
        let all = "SELECT id, contact_email, contact_language FROM customers ORDER BY id";
        let found = sqlx::query(all)
            .fetch_all(&self.inner.read)
            .await
            .map_err(failed(doing))?;
        let mut contacts = Vec::with_capacity(found.len());
        for row in found {
            let id: &str = row.try_get("id").map_err(failed(doing))?;
            let language: &str = row.try_get("contact_language").map_err(failed(doing))?;
            contacts.push(Contact {
                customer: CustomerId::new(id)?,
                email: row.try_get("contact_email").map_err(failed(doing))?,
                language: ContactLanguage::parse(language).unwrap_or_default(),
            });
        }
        Ok(contacts)
    }

    /// Sets how a customer is reached.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], [`ServiceError::Invalid`] for what is no mail address, and
    /// [`ServiceError::Database`].
    pub async fn set_contact(&self, contact: &Contact) -> Result<(), ServiceError> {
        if let Some(email) = &contact.email {
            check_email(email)?;
        }
        let doing = "setting the contact of a customer";
        let mut tx = self.begin(doing).await?;
        let done = sqlx::query(
            "UPDATE customers SET contact_email = ?, contact_language = ? WHERE id = ?",
        )
        .bind(contact.email.as_deref())
        .bind(contact.language.as_str())
        .bind(contact.customer.as_str())
        .execute(&mut *tx)
        .await
        .map_err(failed(doing))?;
        commit(tx, doing).await?;
        if done.rows_affected() == 0 {
            return Err(not_found("customer", contact.customer.as_str()));
        }
        Ok(())
    }
}
