use super::*;

#[tokio::test]
async fn a_newcomers_device_gets_an_asset_of_its_own() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    assert_eq!(service.admit(&device("pump-7")), Admission::Admitted);
    assert_eq!(service.assignment(&device("pump-7")), None);
    let both = [device("pump-7"), device("pump-8"), device("pump-7")];
    let created = service.register_discovered(&both).await.unwrap();
    let ids: Vec<&str> = created.iter().map(|asset| asset.id.as_str()).collect();
    assert_eq!(ids, ["pump-7", "pump-8"]);
    assert!(created[0].discovered);
    assert_eq!(created[0].name.as_str(), "pump-7");
    assert_eq!(created[0].site.time_zone, TimeZoneName::utc());
    assert_eq!(created[0].devices, [device("pump-7")]);
    let watched = Some((asset("pump-7"), AssetModelId::unknown()));
    assert_eq!(service.assignment(&device("pump-7")), watched);
    assert!(service.register_discovered(&both).await.unwrap().is_empty());
    service.close().await;

    let service = bench.open(Registration::Closed).await;
    assert_eq!(service.assignment(&device("pump-7")), watched);
    assert_eq!(service.admit(&device("pump-7")), Admission::Admitted);
    assert_eq!(service.admit(&device("pump-9")), Admission::Unknown);
    assert!(
        service
            .register_discovered(&[device("pump-9")])
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        service.assets(AssetQuery::default()).await.unwrap(),
        created
    );
}

#[tokio::test]
async fn a_device_is_given_to_the_asset_that_a_person_entered_under_its_name() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let entered = service
        .create_asset(NewAsset {
            name: Some(name("Feed pump")),
            model: AssetModelId::new("centrifugal-pump").unwrap(),
            ..new_asset("pump-7")
        })
        .await
        .unwrap();
    assert!(!entered.discovered && entered.devices.is_empty());
    assert!(
        service
            .register_discovered(&[device("pump-7")])
            .await
            .unwrap()
            .is_empty()
    );
    let (watched, model) = service.assignment(&device("pump-7")).unwrap();
    assert_eq!(
        (watched.as_str(), model.as_str()),
        ("pump-7", "centrifugal-pump")
    );
}

/// A site of a customer in Shanghai, and three discovered devices of which the asset `a` has
/// been described, moved to the site, and given `b` and `new` to watch it.
async fn harbour(service: &Service) -> (Site, Asset) {
    let customer = NewCustomer {
        id: None,
        name: name("Harbour Water"),
    };
    let customer = service.create_customer(customer).await.unwrap();
    let site = NewSite {
        id: None,
        customer: customer.id,
        name: name("Pier 4"),
        time_zone: TimeZoneName::new("Asia/Shanghai").unwrap(),
    };
    let site = service.create_site(site).await.unwrap();
    let devices = [device("a"), device("b"), device("c")];
    service.register_discovered(&devices).await.unwrap();
    let update = AssetUpdate {
        name: Some(name("Booster A")),
        site: Some(site.id.clone()),
        model: Some(AssetModelId::new("centrifugal-pump").unwrap()),
        devices: Some(vec![device("b"), device("new")]),
        ..AssetUpdate::default()
    };
    let changed = service.update_asset(&asset("a"), update).await.unwrap();
    (site, changed)
}

#[tokio::test]
async fn an_asset_is_described_and_its_devices_move() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let (site, changed) = harbour(&service).await;
    assert_eq!(site.id.as_str(), "SITE-0001");
    assert_eq!(changed.customer.id.as_str(), "CUS-0001");
    assert_eq!(changed.customer.id, site.customer);
    assert_eq!(changed.site.time_zone.as_str(), "Asia/Shanghai");
    assert!(!changed.discovered);
    assert_eq!(changed.devices, [device("b"), device("new")]);

    // The registry shows what the file says, now and after opening again.
    for service in [service.clone(), bench.open(Registration::Open).await] {
        assert_eq!(service.assignment(&device("a")), None);
        for moved in ["b", "new"] {
            let (watched, model) = service.assignment(&device(moved)).unwrap();
            assert_eq!(
                (watched.as_str(), model.as_str()),
                ("a", "centrifugal-pump")
            );
        }
    }
    let left = service.asset(&asset("b")).await.unwrap().unwrap();
    assert_eq!(left.devices, []);
    let back = service
        .assign_device(&device("a"), &asset("c"))
        .await
        .unwrap();
    assert_eq!(back.asset, Some(asset("c")));
    assert_eq!(service.assignment(&device("a")).unwrap().0, asset("c"));
}

#[tokio::test]
async fn assets_and_devices_are_found_and_paged_by_id() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let (site, changed) = harbour(&service).await;
    let all = AssetQuery::default;
    for (query, expected) in [
        (all(), vec!["a", "b", "c"]),
        (
            AssetQuery {
                text: Some("bOOst".to_owned()),
                ..all()
            },
            vec!["a"],
        ),
        (
            AssetQuery {
                site: Some(site.id),
                ..all()
            },
            vec!["a"],
        ),
        (
            AssetQuery {
                customer: Some(changed.customer.id),
                ..all()
            },
            vec!["a"],
        ),
        (
            AssetQuery {
                after: Some(asset("a")),
                limit: 1,
                ..all()
            },
            vec!["b"],
        ),
    ] {
        let found = service.assets(query.clone()).await.unwrap();
        let ids: Vec<&str> = found.iter().map(|asset| asset.id.as_str()).collect();
        assert_eq!(ids, expected, "{query:?}");
    }
    let devices = service.devices(Some(&device("a")), 10).await.unwrap();
    let ids: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(ids, ["b", "c", "new"]);
}

#[tokio::test]
async fn what_does_not_exist_or_exists_already_is_said_by_name() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let acme = NewCustomer {
        id: Some(CustomerId::new("acme").unwrap()),
        name: name("Acme"),
    };
    service.create_customer(acme.clone()).await.unwrap();
    let error = service.create_customer(acme).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("customer acme exists already"),
        "{error}"
    );
    let site = NewSite {
        id: None,
        customer: CustomerId::new("nobody").unwrap(),
        name: name("x"),
        time_zone: TimeZoneName::utc(),
    };
    let error = service.create_site(site).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no customer nobody");
    let elsewhere = NewAsset {
        site: Some(SiteId::new("nowhere").unwrap()),
        ..new_asset("p")
    };
    let error = service.create_asset(elsewhere).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no site nowhere");
    assert_eq!(
        service.asset(&asset("p")).await.unwrap(),
        None,
        "nothing is left of a refusal"
    );
    service.create_asset(new_asset("p")).await.unwrap();
    let error = service.create_asset(new_asset("p")).await.unwrap_err();
    assert!(matches!(error, ServiceError::Conflict { .. }) && !error.is_transient());
    let too_many = NewEngineer {
        id: None,
        name: name("Jo"),
        skills: vec![name("x"); 33],
    };
    let error = service.create_engineer(too_many).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "skills is not valid: 33 were given; give at most 32"
    );
    let crowd = (0..1_001).map(|at| device(&format!("d{at}"))).collect();
    let update = AssetUpdate {
        devices: Some(crowd),
        ..AssetUpdate::default()
    };
    let error = service.update_asset(&asset("p"), update).await.unwrap_err();
    assert!(
        matches!(
            error,
            ServiceError::Invalid {
                field: "devices",
                ..
            }
        ),
        "{error}"
    );
    let order = WorkOrderId::new("WO-000009").unwrap();
    let error = service
        .approve(&order, &name("Mei"), &Note::empty())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "there is no work order WO-000009");
    assert_eq!(service.work_order(&order).await.unwrap(), None);
}

#[tokio::test]
async fn made_up_ids_step_over_ids_that_were_chosen_by_hand() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let chosen = Some(CustomerId::new("CUS-0002").unwrap());
    for (id, expected) in [(chosen, "CUS-0002"), (None, "CUS-0003"), (None, "CUS-0004")] {
        let new = NewCustomer {
            id,
            name: name("x"),
        };
        assert_eq!(
            service.create_customer(new).await.unwrap().id.as_str(),
            expected
        );
    }
    let listed = service.customers().await.unwrap();
    assert_eq!(listed.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn devices_that_are_discovered_by_racing_tasks_are_registered_once() {
    let bench = Bench::new();
    let service = bench.open(Registration::Open).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let service = service.clone();
            let devices: Vec<_> = (task..task + 6)
                .map(|at| device(&format!("d{at:02}")))
                .collect();
            tokio::spawn(async move { service.register_discovered(&devices).await.unwrap() })
        })
        .collect();
    let mut created = Vec::new();
    for task in tasks {
        created.extend(task.await.unwrap().into_iter().map(|asset| asset.id));
    }
    created.sort_unstable();
    let expected: Vec<_> = (0..13).map(|at| asset(&format!("d{at:02}"))).collect();
    assert_eq!(created, expected);
    assert_eq!(service.devices(None, 100).await.unwrap().len(), 13);
}
