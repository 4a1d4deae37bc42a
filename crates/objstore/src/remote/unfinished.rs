//! Finding uploads in parts that nobody finished, at S3 and Google: a request that the library does
//! not make, signed with what it offers. Azure drops uncommitted blocks by itself after a week.

use std::sync::Arc;

use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpRequestBody};
use object_store::gcp::GoogleCloudStorage;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use rutile_model::ErrorKind;
use rutile_model::time::parse_rfc3339;
use serde::Deserialize;
use url::Url;

use super::Remote;
use crate::{Error, Operation, Result, UnfinishedUpload};

/// Most bytes of an answer: a page holds 1,000 uploads of at most 4 KB each.
const MAX_PAGE_BYTES: usize = 16 << 20;
/// Most pages that are asked for; what lies beyond is found when these are gone.
const MAX_PAGES: usize = 100;
/// Characters of a refusal that a message repeats.
const MAX_DETAIL: usize = 400;

/// Lists and aborts such uploads.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) store: Store,
    pub(crate) http: HttpClient,
    /// The bucket's own address.
    pub(crate) bucket_url: String,
}

/// Who signs the requests.
#[derive(Debug)]
pub(crate) enum Store {
    /// S3 and what is compatible with it.
    S3 {
        store: Arc<AmazonS3>,
        region: String,
        unsigned: bool,
    },
    /// Google's XML API.
    Google(Arc<GoogleCloudStorage>),
}

/// One page of the answer; S3's and Google's are of one form.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Page {
    is_truncated: bool,
    next_key_marker: String,
    next_upload_id_marker: String,
    upload: Vec<Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    key: String,
    upload_id: String,
    initiated: String,
}

impl Unfinished {
    pub(super) async fn list(&self, remote: &Remote) -> Result<Vec<UnfinishedUpload>> {
        let mut found = Vec::new();
        let (mut key_marker, mut upload_marker) = (String::new(), String::new());
        for _ in 0..MAX_PAGES {
            let page = self.page(remote, &key_marker, &upload_marker).await?;
            for entry in page.upload {
                let started = parse_rfc3339(&entry.initiated);
                let started_ms = started.map_err(|error| unclear(remote, &error.to_string()))?;
                found.push(UnfinishedUpload {
                    key: Some(entry.key),
                    id: entry.upload_id,
                    started_ms,
                });
            }
            if !page.is_truncated || page.next_key_marker.is_empty() {
                break;
            }
            (key_marker, upload_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
        Ok(found)
    }

    pub(super) async fn abort(&self, path: &Path, id: &str) -> object_store::Result<()> {
        let id = id.to_owned();
        match &self.store {
            Store::S3 { store, .. } => store.abort_multipart(path, &id).await,
            Store::Google(store) => store.abort_multipart(path, &id).await,
        }
    }

    async fn page(&self, remote: &Remote, key_marker: &str, upload_marker: &str) -> Result<Page> {
        let mut url =
            Url::parse(&self.bucket_url).map_err(|error| unclear(remote, &error.to_string()))?;
        url.query_pairs_mut()
            .append_pair("key-marker", key_marker)
            .append_pair("upload-id-marker", upload_marker)
            .append_pair("uploads", "");
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = (url.as_str().parse())
            .map_err(|error: http::uri::InvalidUri| unclear(remote, &error.to_string()))?;
        self.sign(remote, &mut request).await?;
        let answer = self.http.execute(request).await;
        let answer = answer.map_err(|error| unreachable(remote, &error))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await;
        let body = body.map_err(|error| unreachable(remote, &error))?;
        let text = str::from_utf8(&body).unwrap_or_default();
        if !status.is_success() || body.len() > MAX_PAGE_BYTES {
            let shown: String = text.chars().take(MAX_DETAIL).collect();
            let kind = match status.as_u16() {
                401 | 403 => ErrorKind::Denied,
                404 => ErrorKind::Invalid,
                _ => ErrorKind::Unavailable,
            };
            let message = format!("listing unfinished uploads was answered with {status}: {shown}");
            return Err(error(remote, kind, message));
        }
        quick_xml::de::from_str(text).map_err(|error| unclear(remote, &error.to_string()))
    }

    async fn sign(&self, remote: &Remote, request: &mut HttpRequest) -> Result<()> {
        let explain = |error| remote.explain(Operation::ListUnfinished, "", error);
        match &self.store {
            Store::S3 { unsigned: true, .. } => Ok(()),
            Store::S3 { store, region, .. } => {
                let credential = store.credentials().get_credential().await;
                let credential = credential.map_err(explain)?;
                AwsAuthorizer::new(&credential, "s3", region)
                    .try_authorize(request, None)
                    .map_err(explain)
            }
            Store::Google(store) => {
                let credential = store.credentials().get_credential().await;
                let bearer = format!("Bearer {}", credential.map_err(explain)?.bearer);
                let bearer = http::HeaderValue::from_str(&bearer)
                    .map_err(|error| unclear(remote, &error.to_string()))?;
                request
                    .headers_mut()
                    .insert(http::header::AUTHORIZATION, bearer);
                Ok(())
            }
        }
    }
}

fn error(remote: &Remote, kind: ErrorKind, message: String) -> Error {
    Error::new(kind, Operation::ListUnfinished, &remote.name, "", message)
}

fn unclear(remote: &Remote, why: &str) -> Error {
    let message = format!("the list of unfinished uploads cannot be read: {why}");
    error(remote, ErrorKind::Unavailable, message)
}

fn unreachable(remote: &Remote, why: &HttpError) -> Error {
    let message = format!("cannot reach {}: {why}", remote.endpoint);
    error(remote, ErrorKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_as_servers_write_them() {
        let page: Page = quick_xml::de::from_str(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Bucket>b</Bucket><KeyMarker></KeyMarker><NextKeyMarker>a&amp;b</NextKeyMarker>
              <NextUploadIdMarker>2</NextUploadIdMarker><IsTruncated>true</IsTruncated>
              <Upload><Key>x/1</Key><UploadId>1</UploadId><Initiator><ID>i</ID></Initiator>
                <Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>
              <Upload><Key>a&amp;b</Key><UploadId>2</UploadId>
                <Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>
            </ListMultipartUploadsResult>"#,
        )
        .unwrap();
        assert!(page.is_truncated);
        assert_eq!(
            (page.next_key_marker.as_str(), page.upload.len()),
            ("a&b", 2)
        );
        let last = page.upload.last().unwrap();
        assert_eq!((last.key.as_str(), last.upload_id.as_str()), ("a&b", "2"));
        let empty: Page = quick_xml::de::from_str(
            "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
        )
        .unwrap();
        assert!(!empty.is_truncated && empty.upload.is_empty());
    }
}
