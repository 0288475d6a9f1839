//! Tables as CSV.

use reqwest::{Method, header};

use crate::plant::Plant;

async fn csv(plant: &Plant, path: &str) -> (header::HeaderMap, Vec<String>) {
    let request = plant
        .request(Method::GET, path)
        .header("accept", "text/csv");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    let lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::to_owned)
        .collect();
    (headers, lines)
}

#[tokio::test]
async fn readings_are_exported_page_by_page_as_they_are() {
    let plant = Plant::open().await;
    for (n, value) in [1.5, -2.25, 3.0e-7].into_iter().enumerate() {
        plant
            .publish(&[("pump-1", n as i64, &[("flow_l_min", value)])])
            .await;
    }
    let path = "/api/v1/readings?device=pump-1&signal=flow_l_min";
    let (headers, lines) = csv(&plant, path).await;
    assert_eq!(
        headers["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        headers["content-disposition"],
        "attachment; filename=\"readings-pump-1.csv\""
    );
    assert_eq!(
        lines,
        [
            "device,signal,at,value",
            "pump-1,flow_l_min,2026-03-01T08:00:00Z,1.5",
            "pump-1,flow_l_min,2026-03-01T08:00:01Z,-2.25",
            "pump-1,flow_l_min,2026-03-01T08:00:02Z,0.0000003",
        ]
    );
    let (headers, first) = csv(&plant, &format!("{path}&limit=2")).await;
    assert_eq!(first.len(), 3);
    let link = headers["link"].to_str().unwrap();
    let next = link.strip_prefix('<').unwrap().split('>').next().unwrap();
    let base = reqwest::Url::parse(&format!("{}{path}", plant.base)).unwrap();
    let next = base.join(next).unwrap();
    let next = format!("{}?{}", next.path(), next.query().unwrap());
    let (headers, rest) = csv(&plant, &next).await;
    assert_eq!(rest[1..], lines[3..], "{next}");
    assert!(!headers.contains_key("link"));
    let (_, buckets) = csv(&plant, &format!("{path}&buckets=1")).await;
    assert_eq!(
        buckets[0],
        "device,signal,from,to,count,min,max,mean,first,last"
    );
    assert!(buckets[1].contains(",3,-2.25,1.5,"), "{buckets:?}");
    plant.close().await;
}

#[tokio::test]
async fn cases_orders_and_assets_are_exported_with_the_filters_of_their_lists() {
    let plant = Plant::open().await;
    let case = plant.alarm("pump-1", "cavitation", 10).await;
    plant.alarm("pump-2", "cavitation", 20).await;
    for (path, columns, row) in [
        (
            "/api/v1/cases?asset=pump-1",
            21,
            format!("{case},pump-1,pump-1,pump-1,cavitation,"),
        ),
        (
            "/api/v1/work-orders?asset=pump-1",
            22,
            format!("WO-000001,pump-1,pump-1,{case},"),
        ),
        (
            "/api/v1/assets?q=pump-1",
            15,
            "pump-1,pump-1,unknown,".to_owned(),
        ),
    ] {
        let (_, lines) = csv(&plant, path).await;
        assert_eq!(lines.len(), 2, "{path}: {lines:?}");
        assert_eq!(lines[0].split(',').count(), columns, "{path}");
        assert!(lines[1].starts_with(&row), "{path}: {}", lines[1]);
        let json = plant.request(Method::GET, &format!("{path}&format=json"));
        let json = json.header("accept", "text/csv").send().await.unwrap();
        assert_eq!(json.headers()["content-type"], "application/json");
    }
    plant.close().await;
}
