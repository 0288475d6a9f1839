//! The plant as the service system knows it: customers, sites, machines, engineers.

use anyhow::Result;
use service::{Name, NewAsset, NewCustomer, NewEngineer, NewSite, Service, TimeZoneName};
use telemetry::{AssetId, AssetModelId, CustomerId, DeviceId, EngineerId, SiteId};

use crate::simulate::plant::{CUSTOMERS, ENGINEERS, MACHINES, SITES};

/// Registers whatever is not there yet, so that a demo on an old data directory goes on.
///
/// # Errors
/// When the service system cannot be read or written.
pub(super) async fn register(service: &Service) -> Result<()> {
    let customers = service.customers().await?;
    for (id, name) in CUSTOMERS {
        let id = CustomerId::new(id)?;
        if customers.iter().all(|customer| customer.id != id) {
            let name = Name::new(name)?;
            service
                .create_customer(NewCustomer { id: Some(id), name })
                .await?;
        }
    }
    let sites = service.sites().await?;
    for (id, name, customer, time_zone) in SITES {
        let id = SiteId::new(id)?;
        if sites.iter().all(|site| site.id != id) {
            let site = NewSite {
                id: Some(id),
                customer: CustomerId::new(customer)?,
                name: Name::new(name)?,
                time_zone: TimeZoneName::new(time_zone)?,
            };
            service.create_site(site).await?;
        }
    }
    let engineers = service.engineers().await?;
    for (id, name, skills) in ENGINEERS {
        let id = EngineerId::new(id)?;
        if engineers.iter().all(|engineer| engineer.id != id) {
            let skills = skills
                .iter()
                .map(|skill| Name::new(skill))
                .collect::<Result<_, _>>()?;
            let name = Name::new(name)?;
            service
                .create_engineer(NewEngineer {
                    id: Some(id),
                    name,
                    skills,
                })
                .await?;
        }
    }
    for machine in MACHINES {
        let id = AssetId::new(machine.id)?;
        if service.asset(&id).await?.is_none() {
            let asset = NewAsset {
                id,
                name: Some(Name::new(machine.name)?),
                model: AssetModelId::new(machine.kind.model())?,
                site: Some(SiteId::new(machine.site)?),
                parent: None,
                devices: vec![DeviceId::new(machine.id)?],
            };
            service.create_asset(asset).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use service::{AssetQuery, Registration, ServiceConfig};
    use telemetry::SystemClock;

    use super::*;

    #[tokio::test]
    async fn the_plant_is_registered_once() {
        let dir = tempfile::tempdir().unwrap();
        let config = ServiceConfig {
            registration: Registration::Open,
            ..ServiceConfig::default()
        };
        let service = Service::open(
            &dir.path().join("service.db"),
            config,
            Arc::new(SystemClock),
        )
        .await
        .unwrap();
        for _ in 0..2 {
            register(&service).await.unwrap();
            let assets = service.assets(AssetQuery::default()).await.unwrap();
            assert_eq!(assets.len(), MACHINES.len());
            assert!(assets.iter().all(|asset| !asset.discovered));
        }
        let device = DeviceId::new("pump-1").unwrap();
        let (asset, model) = service.assignment(&device).unwrap();
        assert_eq!(
            (asset.as_str(), model.as_str()),
            ("pump-1", "centrifugal-pump")
        );
    }
}
