//! Google Cloud Storage's XML API in process, as far as a bucket needs it: objects with ranges and
//! generations, listings in pages, multipart uploads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// Entries of a page: small, so that the suite's listings need several.
const PAGE: usize = 3;

const BUCKET: &str = "fake-bucket";

/// A running fake; ends when dropped.
pub(crate) struct GcsFake {
    address: String,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, (Bytes, u64)>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    /// The keys that they are going to write.
    upload_keys: BTreeMap<String, String>,
    /// Of objects and uploads.
    next: u64,
}

type Shared = Arc<Mutex<Store>>;
type Params = Query<BTreeMap<String, String>>;

impl GcsFake {
    #[expect(clippy::disallowed_methods, reason = "a server of the test alone")]
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new()
            .fallback(serve)
            .layer(DefaultBodyLimit::disable())
            .with_state(Shared::default());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, task }
    }

    /// A service account that points to the fake and needs no token.
    pub(crate) fn objstore_config(&self) -> String {
        let address = &self.address;
        format!(
            r#"type: gcs
config:
  bucket: {BUCKET}
  service_account: |-
    {{"gcs_base_url": "http://{address}", "disable_oauth": true, "private_key": "",
     "private_key_id": "", "client_email": ""}}
"#
        )
    }
}

impl Drop for GcsFake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    State(store): State<Shared>,
    method: Method,
    uri: Uri,
    Query(params): Params,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = percent_decode(uri.path());
    let Some(path) = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(BUCKET))
    else {
        return error(StatusCode::NOT_FOUND, "NoSuchBucket");
    };
    let key = path.trim_start_matches('/').to_owned();
    let store = &mut *store.lock();
    let upload = params.get("uploadId");
    match (method, upload) {
        (Method::GET, _) if params.contains_key("uploads") => list_uploads(store, &params),
        (Method::GET, _) if key.is_empty() => list(store, &params),
        (Method::GET | Method::HEAD, _) => read(store, &key, &headers),
        (Method::PUT, None) => put(store, &key, &headers, body),
        (Method::PUT, Some(upload)) => part(store, upload, &params, body),
        (Method::POST, None) => start_upload(store, &key),
        (Method::POST, Some(upload)) => complete(store, &key, upload),
        (Method::DELETE, Some(upload)) => match store.uploads.remove(upload) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchUpload"),
        },
        (Method::DELETE, None) => match store.objects.remove(&key) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

fn read(store: &Store, key: &str, headers: &HeaderMap) -> Response {
    let Some((body, generation)) = store.objects.get(key) else {
        return error(StatusCode::NOT_FOUND, "NoSuchKey");
    };
    let size = body.len();
    let range = headers.get("range").and_then(|range| range.to_str().ok());
    let range = range.and_then(|range| range.strip_prefix("bytes="));
    let described = [
        ("etag", format!("\"{generation}\"")),
        ("x-goog-generation", generation.to_string()),
        ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT".to_owned()),
    ];
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return (described, body.clone()).into_response();
    };
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    if first >= size {
        return error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
    }
    let last = last.min(size - 1);
    let content = [("content-range", format!("bytes {first}-{last}/{size}"))];
    (
        StatusCode::PARTIAL_CONTENT,
        described,
        content,
        body.slice(first..=last),
    )
        .into_response()
}

fn put(store: &mut Store, key: &str, headers: &HeaderMap, body: Bytes) -> Response {
    let create = headers
        .get("x-goog-if-generation-match")
        .is_some_and(|value| value == "0");
    if create && store.objects.contains_key(key) {
        return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    }
    written(store, key, body).into_response()
}

fn written(store: &mut Store, key: &str, body: Bytes) -> [(&'static str, String); 2] {
    store.next += 1;
    store.objects.insert(key.to_owned(), (body, store.next));
    [
        ("etag", format!("\"{}\"", store.next)),
        ("x-goog-generation", store.next.to_string()),
    ]
}

fn start_upload(store: &mut Store, key: &str) -> Response {
    store.next += 1;
    let upload = format!("upload-{}", store.next);
    store.uploads.insert(upload.clone(), BTreeMap::new());
    store.upload_keys.insert(upload.clone(), key.to_owned());
    format!(
        "<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>\
         </InitiateMultipartUploadResult>"
    )
    .into_response()
}

fn part(
    store: &mut Store,
    upload: &str,
    params: &BTreeMap<String, String>,
    body: Bytes,
) -> Response {
    let number: u32 = params["partNumber"].parse().unwrap();
    let Some(parts) = store.uploads.get_mut(upload) else {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload");
    };
    parts.insert(number, body);
    [("etag", format!("\"part-{number}\""))].into_response()
}

fn complete(store: &mut Store, key: &str, upload: &str) -> Response {
    let Some(parts) = store.uploads.remove(upload) else {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload");
    };
    let body = parts.into_values().flatten().collect();
    let headers = written(store, key, body);
    let text = "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";
    (headers, text).into_response()
}

/// One upload on a page, by key and then by upload.
fn list_uploads(store: &Store, params: &BTreeMap<String, String>) -> Response {
    let marker = |name: &str| params.get(name).cloned().unwrap_or_default();
    let after = (marker("key-marker"), marker("upload-id-marker"));
    let keys = store.upload_keys.iter();
    let open = keys.filter(|(upload, _)| store.uploads.contains_key(*upload));
    let mut sorted: Vec<_> = open
        .map(|(upload, key)| (key.clone(), upload.clone()))
        .filter(|place| *place > after)
        .collect();
    sorted.sort();
    let more = sorted.len() > 1;
    let mut text = format!("<ListMultipartUploadsResult><IsTruncated>{more}</IsTruncated>");
    if let Some((key, upload)) = sorted.first() {
        let key = escape(key);
        write!(
            text,
            "<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{upload}</NextUploadIdMarker>\
             <Upload><Key>{key}</Key><UploadId>{upload}</UploadId>\
             <Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>"
        )
        .unwrap();
    }
    format!("{text}</ListMultipartUploadsResult>").into_response()
}

fn list(store: &Store, params: &BTreeMap<String, String>) -> Response {
    let prefix = params.get("prefix").map_or("", String::as_str);
    let after = params.get("continuation-token").map_or("", String::as_str);
    let by_folder = params.contains_key("delimiter");
    let mut entries = BTreeSet::new();
    for (key, _) in store.objects.range(prefix.to_owned()..) {
        let Some(rest) = key.strip_prefix(prefix) else {
            break;
        };
        match rest.split_once('/') {
            Some((folder, _)) if by_folder => entries.insert(format!("{prefix}{folder}/")),
            _ => entries.insert(key.clone()),
        };
    }
    let mut page = entries
        .into_iter()
        .filter(|entry| entry.as_str() > after)
        .peekable();
    let mut text = "<ListBucketResult>".to_owned();
    let mut last = String::new();
    for entry in page.by_ref().take(PAGE) {
        match store.objects.get(&entry) {
            Some((body, generation)) => write!(
                text,
                "<Contents><Key>{}</Key><Size>{}</Size><ETag>\"{generation}\"</ETag>\
                 <LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>",
                escape(&entry),
                body.len()
            ),
            None => write!(
                text,
                "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                escape(&entry)
            ),
        }
        .unwrap();
        last = entry;
    }
    if page.peek().is_some() {
        let token = escape(&last);
        write!(
            text,
            "<NextContinuationToken>{token}</NextContinuationToken>"
        )
        .unwrap();
    }
    format!("{text}</ListBucketResult>").into_response()
}

fn error(status: StatusCode, code: &str) -> Response {
    (status, format!("<Error><Code>{code}</Code></Error>")).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = (*first == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok())
            .flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
