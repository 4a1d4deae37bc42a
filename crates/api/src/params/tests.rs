use axum::body::Body;
use http::{Method, header};
use rutile_runtime::Ledger;

use super::*;

fn query(text: &str) -> Params {
    Params::from_query(text).unwrap()
}

async fn read(request: Request) -> Result<Params> {
    let mut memory = Ledger::new(64 << 20).account("form").empty();
    Params::read(request, &mut memory).await
}

#[tokio::test]
async fn a_form_comes_before_the_address() {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/api/v1/query?query=b&dedup=0&match[]=z")
        .header(
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .body(Body::from(
            "query=sum%28up%29+%2B+1&match%5B%5D=x&match[]=y&flag",
        ))
        .unwrap();
    let params = read(request).await.unwrap();
    assert_eq!(params.get("query"), "sum(up) + 1");
    assert_eq!(params.switch("dedup"), Ok(Some(false)));
    assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["x", "y", "z"]);
    assert_eq!((params.get("flag"), params.get("none")), ("", ""));
}

#[tokio::test]
async fn a_form_that_is_too_long_is_refused() {
    let request = Request::builder()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(vec![b'a'; 11 << 20]))
        .unwrap();
    let failed = read(request).await.unwrap_err();
    assert_eq!(failed.kind, crate::ErrorType::BadData);
    assert!(
        failed
            .message
            .starts_with("the form is longer than at most 10 MiB"),
        "{failed}"
    );
}

#[test]
fn wrong_escapes_are_refused() {
    let check = |text: &str, problem: &str| {
        let failed = Params::from_query(text).unwrap_err();
        assert_eq!(
            (failed.kind, failed.message),
            (crate::ErrorType::BadData, problem.to_owned())
        );
    };
    let escape = |wrong: &str| format!("error parsing form values: invalid URL escape \"{wrong}\"");
    check("query=a%zz", &escape("%zz"));
    check("query=%2", &escape("%2"));
    let query = "invalid parameter \"query\": invalid UTF-8 behind 2 bytes";
    check("time=1&query=ab%ff", query);
}

#[test]
fn a_name_that_is_not_utf_8_is_nobodys() {
    let params = query("a%ff=1&a=2");
    assert_eq!(params.get("a"), "2");
}

#[tokio::test]
async fn a_form_is_in_the_ledger() {
    let ledger = Ledger::new(3 << 20);
    let mut memory = ledger.account("form").empty();
    let form = |bytes: usize| {
        let request = Request::builder()
            .method(Method::POST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(Body::from(vec![b'a'; bytes])).unwrap()
    };
    Params::read(form(1 << 20), &mut memory).await.unwrap();
    assert_eq!(memory.bytes(), 2 << 20);
    let failed = Params::read(form(1 << 20), &mut memory).await.unwrap_err();
    assert_eq!(failed.kind, crate::ErrorType::Execution);
    assert!(failed.message.contains("--memory.limit"), "{failed}");
}

#[tokio::test]
async fn a_compressed_form_is_refused() {
    let form = |encoding: &str| {
        let request = Request::builder()
            .method(Method::POST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::CONTENT_ENCODING, encoding);
        read(request.body(Body::from("query=up")).unwrap())
    };
    assert_eq!(form("identity").await.unwrap().get("query"), "up");
    let failed = form("gzip").await.unwrap_err();
    assert_eq!(failed.kind, crate::ErrorType::Unsupported);
    assert_eq!(
        (failed.kind.as_str(), failed.kind.status().as_u16()),
        ("bad_data", 415)
    );
    assert!(failed.message.contains("\"gzip\""), "{failed}");
}

#[tokio::test]
async fn a_form_of_several_parts_is_refused() {
    let kind = "multipart/form-data; boundary=x";
    let request = Request::builder()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, kind);
    let failed = read(request.body(Body::from("--x")).unwrap()).await;
    let failed = failed.unwrap_err();
    assert_eq!(failed.kind, crate::ErrorType::Unsupported);
    assert!(
        failed.message.contains("application/x-www-form-urlencoded"),
        "{failed}"
    );
}

#[test]
fn times() {
    let check = |text: &str, expected: Result<i64, &str>| {
        assert_eq!(parse_time(text), expected.map_err(str::to_owned), "{text}");
    };
    check("1435781451.781", Ok(1_435_781_451_781));
    check("1435781451.0295", Ok(1_435_781_451_030));
    check("-1.5", Ok(-1500));
    check("1e3", Ok(1_000_000));
    check("2015-06-03T13:21:58.555Z", Ok(1_433_337_718_555));
    check("2015-06-03T14:21:58.555+01:00", Ok(1_433_337_718_555));
    check("-292273086-05-16T16:47:06Z", Ok(-9_223_309_901_257_974_000));
    check(
        "292277025-08-18T07:12:54.999999999Z",
        Ok(9_223_309_901_257_974_999),
    );
    check("", Err("cannot parse \"\" to a valid timestamp"));
    check("now", Err("cannot parse \"now\" to a valid timestamp"));
    check(
        "NaN",
        Err("cannot parse \"NaN\" to a valid timestamp. It overflows int64"),
    );
    check(
        "1e300",
        Err("cannot parse \"1e300\" to a valid timestamp. It overflows int64"),
    );
}

#[test]
fn durations() {
    let check = |text: &str, expected: Result<i64, &str>| {
        assert_eq!(
            parse_duration_ns(text),
            expected.map_err(str::to_owned),
            "{text}"
        );
    };
    check("1", Ok(1_000_000_000));
    check("0.0005", Ok(500_000));
    check("1h30m", Ok(5_400_000_000_000));
    check("-5", Ok(-5_000_000_000));
    check("5", Ok(5_000_000_000));
    check("abc", Err("cannot parse \"abc\" to a valid duration"));
    check(
        "148966367200.372",
        Err("cannot parse \"148966367200.372\" to a valid duration. It overflows int64"),
    );
    check(
        "NaN",
        Err("cannot parse \"NaN\" to a valid duration. It overflows int64"),
    );
    check("1000y", Err("cannot parse \"1000y\" to a valid duration"));
}

#[test]
fn errors_name_the_parameter() {
    let params = query("dedup=yes&limit=-1&l2=x&l3=0&l4=5&match[]=up{&time=never&m2={}");
    let message = |failed: Failed| (failed.kind, failed.message);
    let bad = |text: &str| (crate::ErrorType::BadData, text.to_owned());
    assert_eq!(
        message(params.switch("dedup").unwrap_err()),
        bad("invalid parameter \"dedup\": cannot parse \"yes\" to true or false")
    );
    assert_eq!(
        message(params.limit("limit").unwrap_err()),
        bad("invalid parameter \"limit\": limit must be non-negative")
    );
    assert_eq!(
        message(params.limit("l2").unwrap_err()),
        bad("invalid parameter \"l2\": cannot parse \"x\" to a valid limit")
    );
    assert_eq!(
        (params.limit("l3"), params.limit("l4"), params.limit("none")),
        (Ok(None), Ok(Some(5)), Ok(None))
    );
    assert_eq!(
        message(params.time("time").unwrap_err()),
        bad(
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"never\" to a valid timestamp"
        )
    );
    assert_eq!(
        message(params.required_time("none").unwrap_err()),
        bad("invalid parameter \"none\": cannot parse \"\" to a valid timestamp")
    );
    let selector = params.selectors("match[]").unwrap_err().message;
    assert_eq!(
        selector,
        "invalid parameter \"match[]\": 1:4: parse error: unexpected end of input inside braces"
    );
    assert!(params.selectors("m2").is_err());
}
