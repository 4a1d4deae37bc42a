//! What is answered to requests that no route takes, and to those of a page of another origin.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;

/// What a browser says about where a request comes from, if it trusts the connection.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Gives an answer that is only a status the words of Prometheus: those of Go.
pub(super) fn worded(mut answer: Response) -> Response {
    let words = match answer.status() {
        StatusCode::NOT_FOUND => "404 page not found\n",
        StatusCode::METHOD_NOT_ALLOWED => "Method Not Allowed\n",
        _ => return answer,
    };
    // What a handler says has a type.
    if answer.headers().contains_key(CONTENT_TYPE) {
        return answer;
    }
    *answer.body_mut() = Body::from(words);
    let headers = answer.headers_mut();
    headers.remove(CONTENT_LENGTH);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Whether a browser sends this on behalf of a page of another origin, and not of this server's.
///
/// To be asked by what changes something: a browser sends forms anywhere without asking first, from
/// inside of networks that the page's owner cannot reach. What is sent by no browser is never one.
/// Source: Go, `net/http/csrf.go` (`CrossOriginProtection`).
#[must_use]
pub fn is_cross_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    // HTTP/2 has the host in the address.
    let host = uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| headers.get(HOST)?.to_str().ok());
    let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
    match (origin, host) {
        (Some((_, origin)), Some(host)) => !origin.eq_ignore_ascii_case(host),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{Method, Request};
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn what_no_route_takes_is_told_as_go_does() {
        let own = get(async || (StatusCode::NOT_FOUND, "no such block"));
        let routes = Router::new().route("/a", own);
        let ask = async |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path);
            let answer = routes.clone().oneshot(request.body(Body::empty()).unwrap());
            let answer = worded(answer.await.unwrap());
            let (head, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (head, String::from_utf8(body.to_vec()).unwrap())
        };
        let (head, body) = ask(Method::GET, "/b").await;
        assert_eq!(
            (head.status.as_u16(), &*body),
            (404, "404 page not found\n")
        );
        assert_eq!(head.headers[CONTENT_TYPE], "text/plain; charset=utf-8");
        assert!(!head.headers.contains_key(CONTENT_LENGTH), "{head:?}");
        let (head, body) = ask(Method::DELETE, "/a").await;
        assert_eq!(
            (head.status.as_u16(), &*body),
            (405, "Method Not Allowed\n")
        );
        assert_eq!(head.headers["allow"], "GET,HEAD");
        assert_eq!(ask(Method::GET, "/a").await.1, "no such block");
    }

    #[test]
    fn pages_of_others_are_known() {
        let check = |uri: &'static str, headers: &[(&'static str, &'static str)], cross: bool| {
            let headers = headers
                .iter()
                .map(|(name, value)| {
                    let name = HeaderName::from_static(name);
                    (name, HeaderValue::from_static(value))
                })
                .collect();
            let found = is_cross_origin(&Uri::from_static(uri), &headers);
            assert_eq!(found, cross, "{uri} {headers:?}");
        };
        let host = ("host", "rutile:10902");
        check("/mark", &[host], false);
        check("/mark", &[host, ("origin", "http://rutile:10902")], false);
        check("/mark", &[host, ("origin", "https://RUTILE:10902")], false);
        check("/mark", &[host, ("origin", "http://rutile:8080")], true);
        check("/mark", &[host, ("origin", "http://evil.example")], true);
        check("/mark", &[host, ("origin", "null")], true);
        check("/mark", &[("origin", "http://rutile:10902")], true);
        let h2 = "http://rutile:10902/mark";
        check(h2, &[("origin", "http://rutile:10902")], false);
        check(h2, &[("origin", "http://evil.example")], true);
        // A proxy that has another name for the host than the browser.
        let behind = [host, ("origin", "https://metrics.example")];
        check("/mark", &behind, true);
        for (site, cross) in [
            ("same-origin", false),
            ("none", false),
            ("same-site", true),
            ("cross-site", true),
        ] {
            let headers = [behind[0], behind[1], ("sec-fetch-site", site)];
            check("/mark", &headers, cross);
        }
    }
}
