//! What a real Prometheus makes of `rutile-query`'s metrics.

use std::collections::BTreeSet;
use std::time::Duration;

use rutile_testkit::prometheus::promtool;
use rutile_testkit::servers;

use crate::process::start;

/// How often Prometheus is asked whether it has scraped, four times a second.
const TRIES: usize = 240;

#[tokio::test]
async fn prometheus_scrapes_all_of_its_metrics() {
    let process = start(&[]);
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: query, static_configs: [{{targets: ['{}']}}]}}]\n",
        process.http
    );
    let prometheus = servers::prometheus(&config);
    let url = format!("http://{}", prometheus.address());
    let ask = |what: &[&str]| promtool(&[&["query", what[0], &url], &what[1..]].concat());
    let mut tries = 0;
    let mut up = String::new();
    while !up.contains("=> ") && tries < TRIES {
        tokio::time::sleep(Duration::from_millis(250)).await;
        up = ask(&["instant", "up"]);
        tries += 1;
    }
    let (labels, value) = up.split_once(" => ").unwrap();
    assert!(labels.contains("job=\"query\""), "{up}");
    assert!(
        value.starts_with("1 @"),
        "Prometheus cannot scrape it: {up}"
    );
    let scraped = ask(&["labels", "__name__"]);
    let scraped: BTreeSet<&str> = scraped.lines().collect();
    let answer = process.get("/metrics");
    let (_, page) = answer.split_once("\r\n\r\n").unwrap();
    let samples = page
        .lines()
        .filter(|line| line.starts_with(char::is_alphabetic));
    let names = samples.filter_map(|line| line.split([' ', '{']).next());
    // A request counts when it is over, so those of HTTP may be new.
    let names: BTreeSet<&str> = names.filter(|name| !name.starts_with("http_")).collect();
    assert!(names.len() > 30, "{page}");
    let missing: Vec<_> = names.difference(&scraped).collect();
    assert!(missing.is_empty(), "Prometheus lacks {missing:?}");
}
