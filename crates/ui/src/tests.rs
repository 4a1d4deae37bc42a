use std::io::Read;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

async fn ask(routes: &Router, path: &str, headers: &[(header::HeaderName, &str)]) -> Response {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    routes.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn header_of(response: &Response, name: header::HeaderName) -> &str {
    response.headers()[name].to_str().unwrap()
}

/// The addresses of other files that the page names.
fn named(page: &str) -> Vec<String> {
    let relative = page.split('"').filter_map(|part| part.strip_prefix("./"));
    relative.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_names_its_files_by_digest_and_they_are_kept() {
    let routes = routes("", &[Part::Query, Part::Stores]);
    let page = ask(&routes, "/", &[]).await;
    assert_eq!(header_of(&page, header::CACHE_CONTROL), "no-cache");
    assert!(header_of(&page, header::CONTENT_SECURITY_POLICY).contains("default-src 'none'"));
    let page = text(page).await;
    assert!(page.contains("data-serves=\"query stores\""), "{page}");
    let files = named(&page);
    assert_eq!(files.len(), FILES.len(), "{files:?}");
    for file in files {
        let answer = ask(&routes, &format!("/{file}"), &[]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{file}");
        assert!(header_of(&answer, header::CACHE_CONTROL).contains("immutable"));
        assert!(!header_of(&answer, header::CONTENT_TYPE).contains("octet"));
    }
}

#[tokio::test]
async fn what_the_server_has_is_said_and_routed() {
    let blocks_only = routes("", &[Part::Blocks, Part::Plan]);
    let page = text(ask(&blocks_only, "/blocks", &[]).await).await;
    assert!(page.contains("data-serves=\"blocks plan\""), "{page}");
    for absent in ["/stores", "/graph", "/index.html", "/page.js"] {
        let answer = ask(&blocks_only, absent, &[]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{absent}");
    }
}

#[tokio::test]
async fn the_addresses_of_the_reference_lead_to_the_page() {
    let all = [Part::Query, Part::Stores, Part::Blocks];
    let plain = routes("", &all);
    let below = routes("/a/b/", &all);
    for (routes, path, location) in [
        (
            &plain,
            "/graph?g0.expr=up&g0.tab=1",
            "./?g0.expr=up&g0.tab=1",
        ),
        (&plain, "/loaded", "./blocks"),
        (&plain, "/global", "./blocks"),
        (&below, "/a/b/graph", "./"),
        (&below, "/a/b", "b/"),
        (&below, "/", "a/b/"),
    ] {
        let answer = ask(routes, path, &[]).await;
        assert_eq!(answer.status(), StatusCode::FOUND, "{path}");
        assert_eq!(header_of(&answer, header::LOCATION), location, "{path}");
    }
    for path in ["/a/b/", "/a/b/stores", "/a/b/blocks"] {
        assert_eq!(
            ask(&below, path, &[]).await.status(),
            StatusCode::OK,
            "{path}"
        );
    }
}

#[tokio::test]
async fn answers_are_compressed_for_who_takes_it() {
    let routes = routes("", &[Part::Query]);
    let plain = text(ask(&routes, "/", &[]).await).await;
    for (accepted, compressed) in [
        ("gzip, deflate, br", true),
        ("br, GZIP;q=0.5", true),
        ("gzip;q=0", false),
        ("br", false),
    ] {
        let answer = ask(&routes, "/", &[(header::ACCEPT_ENCODING, accepted)]).await;
        assert_eq!(header_of(&answer, header::VARY), "Accept-Encoding");
        let encoding = answer.headers().get(header::CONTENT_ENCODING).cloned();
        assert_eq!(encoding.is_some(), compressed, "{accepted}");
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let mut found = String::new();
        match compressed {
            true => GzDecoder::new(&bytes[..])
                .read_to_string(&mut found)
                .unwrap(),
            false => (&bytes[..]).read_to_string(&mut found).unwrap(),
        };
        assert_eq!(found, plain);
    }
}

#[tokio::test]
async fn a_page_that_is_the_same_is_not_sent_again() {
    let routes = routes("", &[Part::Query]);
    let gzip = (header::ACCEPT_ENCODING, "gzip");
    let first = ask(&routes, "/", std::slice::from_ref(&gzip)).await;
    let tag = header_of(&first, header::ETAG).to_owned();
    for (given, status) in [
        (tag.clone(), StatusCode::NOT_MODIFIED),
        (format!("\"other\", W/{tag}"), StatusCode::NOT_MODIFIED),
        ("*".to_owned(), StatusCode::NOT_MODIFIED),
        ("\"other\"".to_owned(), StatusCode::OK),
    ] {
        let headers = [gzip.clone(), (header::IF_NONE_MATCH, given.as_str())];
        let answer = ask(&routes, "/", &headers).await;
        assert_eq!(answer.status(), status, "{given}");
        assert_eq!(header_of(&answer, header::ETAG), tag);
        assert_eq!(
            text_len(answer).await == 0,
            status == StatusCode::NOT_MODIFIED
        );
    }
    // The tag of one encoding says nothing about another.
    let answer = ask(&routes, "/", &[(header::IF_NONE_MATCH, &tag)]).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

async fn text_len(response: Response) -> usize {
    response
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes()
        .len()
}
