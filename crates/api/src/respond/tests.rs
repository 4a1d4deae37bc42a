use std::io::Read;

use http_body_util::BodyExt;

use super::*;
use crate::ErrorType;

fn headers(accept: &'static str) -> Headers {
    let mut request = HeaderMap::new();
    request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
    Headers::new(&request, true)
}

async fn read(response: Response) -> Vec<u8> {
    response
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes()
        .to_vec()
}

fn header_of<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_envelope_is_that_of_thanos() {
    let data = QueryData {
        value: Value::Vector(Vec::new()),
        stats: Some(b"{}".to_vec()),
        analysis: None,
    };
    let reply = Reply {
        memory: None,
        data: Data::Query(Box::new(data)),
        warnings: vec![
            "PromQL info: a < b (1:1)".to_owned(),
            "PromQL warning: c".to_owned(),
        ],
    };
    let response = headers("").respond(Ok(reply), &CpuPool::new(2));
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header_of(&response, "content-type"), "application/json");
    assert_eq!(header_of(&response, "cache-control"), "");
    assert_eq!(header_of(&response, "access-control-allow-origin"), "*");
    let expected = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[],\"stats\":{},\
                    \"analysis\":{}},\"warnings\":[\"PromQL info: a \\u003c b (1:1)\",\"PromQL warning: c\"]}";
    assert_eq!(String::from_utf8(read(response).await).unwrap(), expected);
}

#[tokio::test]
async fn what_may_be_partial_is_not_cached() {
    let reply = Reply {
        memory: None,
        data: Data::json(&["a<b"]),
        warnings: vec!["store a:1 did not answer".to_owned()],
    };
    let response = headers("").respond(Ok(reply), &CpuPool::new(2));
    assert_eq!(header_of(&response, "cache-control"), "no-store");
    let expected = "{\"status\":\"success\",\"data\":[\"a\\u003cb\"],\"warnings\":[\"store a:1 did not answer\"]}";
    assert_eq!(String::from_utf8(read(response).await).unwrap(), expected);
}

#[tokio::test]
async fn errors_have_their_codes() {
    let codes = [
        (ErrorType::BadData, 400, "bad_data"),
        (ErrorType::Execution, 422, "execution"),
        (ErrorType::Canceled, 503, "canceled"),
        (ErrorType::Timeout, 503, "timeout"),
        (ErrorType::NotFound, 404, "not_found"),
        (ErrorType::Internal, 500, "internal"),
    ];
    for (kind, code, name) in codes {
        let response =
            headers("").respond(Err(Failed::new(kind, "it \"failed\"")), &CpuPool::new(2));
        assert_eq!(response.status().as_u16(), code);
        assert_eq!(header_of(&response, "cache-control"), "no-store");
        let expected = format!(
            "{{\"status\":\"error\",\"errorType\":\"{name}\",\"error\":\"it \\\"failed\\\"\"}}"
        );
        assert_eq!(String::from_utf8(read(response).await).unwrap(), expected);
    }
}

#[tokio::test]
async fn no_data_is_no_content() {
    let response = Headers::new(&HeaderMap::new(), false)
        .respond(Ok(Reply::new(Data::Nothing)), &CpuPool::new(2));
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(header_of(&response, "access-control-allow-origin"), "");
    assert!(read(response).await.is_empty());
}

#[tokio::test]
async fn long_answers_are_compressed() {
    let texts: Vec<String> = (0..100_000).map(|i| format!("value {i}")).collect();
    let reply = || Ok(Reply::new(Data::json(&texts)));
    let plain = read(headers("").respond(reply(), &CpuPool::new(2))).await;

    let response = headers("gzip, deflate").respond(reply(), &CpuPool::new(2));
    assert_eq!(header_of(&response, "content-encoding"), "gzip");
    assert_eq!(header_of(&response, "vary"), "Accept-Encoding");
    let compressed = read(response).await;
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&compressed[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(unpacked == plain && compressed.len() < plain.len() / 2);

    let response = headers("gzip, zstd").respond(reply(), &CpuPool::new(2));
    assert_eq!(header_of(&response, "content-encoding"), "zstd");
    assert!(zstd::decode_all(&read(response).await[..]).unwrap() == plain);

    for (accept, expected) in [("zstd;q=0.5, gzip", "gzip"), ("gzip;q=0", ""), ("br", "")] {
        assert_eq!(
            header_of(
                &headers(accept).respond(reply(), &CpuPool::new(2)),
                "content-encoding"
            ),
            expected
        );
    }
    let short = headers("gzip").respond(Ok(Reply::new(Data::json(&1))), &CpuPool::new(2));
    assert_eq!(header_of(&short, "content-encoding"), "");
}
