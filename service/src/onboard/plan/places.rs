//! Customers and sites that a row names.

use telemetry::{CustomerId, SiteId};

use super::{Column, Entry, KnownSite, NewDevice, Plan, Planner, own_name};
use crate::{Name, TimeZoneName};

impl Planner<'_> {
    /// Customer and site.
    pub(super) fn place(&mut self, entry: &Entry, new: &NewDevice, plan: &mut Plan) {
        if let Some(customer) = &new.customer {
            self.customer(entry, new, customer, plan);
            if new.site.is_none() && !entry.is_broken(Column::Site) {
                let problem = "name the site of the customer it stands at as well";
                self.problems.add(entry.at(Column::Site), "", problem);
            }
        } else if new.customer_name.is_some() && !entry.is_broken(Column::Customer) {
            let problem = "a customer's name needs the customer's id beside it";
            self.problems.add(entry.at(Column::Customer), "", problem);
        }
        let Some(site) = &new.site else {
            let named = new.site_name.is_some() || new.time_zone.is_some();
            if named && !entry.is_broken(Column::Site) && new.customer.is_none() {
                let problem = "a site's name or time zone needs the site's id beside it";
                self.problems.add(entry.at(Column::Site), "", problem);
            }
            return;
        };
        match self.known.sites.get(site) {
            Some(stored) => self.known_site(entry, new, site, stored),
            None => self.new_site(entry, site, plan),
        }
    }

    /// A site that is stored keeps what it has; a cell that says otherwise is told.
    fn known_site(&mut self, entry: &Entry, new: &NewDevice, site: &SiteId, stored: &KnownSite) {
        let given = [
            (
                Column::Customer,
                new.customer.as_ref().map(CustomerId::as_str),
                stored.customer.as_str(),
            ),
            (
                Column::SiteName,
                new.site_name.as_ref().map(Name::as_str),
                stored.name.as_str(),
            ),
            (
                Column::TimeZone,
                new.time_zone.as_ref().map(TimeZoneName::as_str),
                stored.time_zone.as_str(),
            ),
        ];
        for (column, given, stored) in given {
            if let Some(given) = given.filter(|given| *given != stored) {
                let problem =
                    format!("site {site} has {stored} already; write that or leave the cell empty");
                self.problems.add(entry.at(column), given, problem);
            }
        }
    }

    fn new_site(&mut self, entry: &Entry, site: &SiteId, plan: &mut Plan) {
        if self.planned_sites.contains(site) {
            return;
        }
        let said = &self.sites[site];
        let Some(customer) = &said.customer else {
            if !entry.is_broken(Column::Customer) {
                let problem = format!("site {site} is new; name its customer");
                self.problems.add(entry.at(Column::Customer), "", problem);
            }
            return;
        };
        let name = said.name.as_ref().map(|said| said.what.clone());
        let Some(name) = name.or_else(|| own_name(site.as_str())) else {
            return;
        };
        let zone = said.time_zone.as_ref().map(|said| said.what.clone());
        let planned = KnownSite {
            customer: customer.what.clone(),
            name,
            time_zone: zone.unwrap_or_else(TimeZoneName::utc),
        };
        self.planned_sites.insert(site.clone());
        plan.sites.push((site.clone(), planned));
    }

    fn customer(&mut self, entry: &Entry, new: &NewDevice, customer: &CustomerId, plan: &mut Plan) {
        if let Some(stored) = self.known.customers.get(customer) {
            if let Some(given) = new.customer_name.as_ref().filter(|given| *given != stored) {
                let problem = format!(
                    "customer {customer} is called {stored} already; write that or leave the cell empty"
                );
                self.problems
                    .add(entry.at(Column::CustomerName), given.as_str(), problem);
            }
            return;
        }
        if !self.planned_customers.insert(customer.clone()) {
            return;
        }
        let said = self.customers.get(customer).and_then(Option::as_ref);
        let name = said.map(|said| said.what.clone());
        if let Some(name) = name.or_else(|| own_name(customer.as_str())) {
            plan.customers.push((customer.clone(), name));
        }
    }
}
