//! The plant of the simulated year, as the service system knows it.

use std::collections::BTreeSet;

use anyhow::Result;
use service::{Name, NewAsset, NewCustomer, NewEngineer, NewSite, Service, TimeZoneName};
use telemetry::{AssetId, AssetModelId, CustomerId, DeviceId, EngineerId, SiteId};

use super::{crew::Crew, plant::Plan};

/// Enters the plant and who works there.
pub(super) async fn register(service: &Service, plans: &[Plan]) -> Result<Crew> {
    let customers = ["northshore-water", "hanse-packaging"];
    for id in customers {
        let (id, name) = (Some(CustomerId::new(id)?), Name::new(id)?);
        service.create_customer(NewCustomer { id, name }).await?;
    }
    let sites: BTreeSet<u32> = plans.iter().map(|plan| plan.site).collect();
    for site in &sites {
        let new = NewSite {
            id: Some(SiteId::new(&format!("site-{site}"))?),
            customer: CustomerId::new(customers[*site as usize % customers.len()])?,
            name: Name::new(&format!("Site {site}"))?,
            time_zone: TimeZoneName::utc(),
        };
        service.create_site(new).await?;
    }
    for plan in plans {
        let new = NewAsset {
            id: AssetId::new(&plan.id)?,
            name: None,
            model: AssetModelId::new(plan.kind.model())?,
            site: Some(SiteId::new(&format!("site-{}", plan.site))?),
            devices: vec![DeviceId::new(&plan.id)?],
            parent: None,
        };
        service.create_asset(new).await?;
    }
    let engineer_name = Name::new("Engineer")?;
    let engineer = NewEngineer {
        id: Some(EngineerId::new("engineer")?),
        name: engineer_name.clone(),
        skills: Vec::new(),
    };
    Ok(Crew {
        planner: Name::new("Planner")?,
        engineer: service.create_engineer(engineer).await?.id,
        engineer_name,
    })
}
