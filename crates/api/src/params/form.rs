//! Forms: `name=value&name=value`, percent-encoded.

use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, Method, header};
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode;
use rutile_runtime::Reservation;

use super::Params;
use crate::{ErrorType, Failed, Result};

/// The longest form, as in Go. A query is at most half a MiB.
const MAX_FORM_BYTES: usize = 10 << 20;
/// The most parameters of a request.
const MAX_PARAMETERS: usize = 10_000;
const FORM: &str = "application/x-www-form-urlencoded";
/// How much of a wrong escape is shown.
const SHOWN_BYTES: usize = 3;

pub(super) async fn read(request: Request, memory: &mut Reservation) -> Result<Params> {
    let (head, body) = request.into_parts();
    let mut params = Params::default();
    if head.method != Method::GET && is_form(&head.headers)? {
        require_plain(&head.headers)?;
        let form = receive(body, memory).await?;
        decode(&form, &mut params.0)?;
    }
    decode(
        head.uri.query().unwrap_or_default().as_bytes(),
        &mut params.0,
    )?;
    Ok(params)
}

/// The bytes of a form, reserved twice: once more for what is read from them.
async fn receive(mut body: Body, memory: &mut Reservation) -> Result<Vec<u8>> {
    let mut form = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Failed::bad_data(format!("cannot read the form: {error}")))?;
        let data = frame.into_data().unwrap_or_default();
        if form.len() + data.len() > MAX_FORM_BYTES {
            let most = MAX_FORM_BYTES >> 20;
            return Err(Failed::bad_data(format!(
                "the form is longer than at most {most} MiB"
            )));
        }
        memory
            .grow(2 * data.len() as u64)
            .map_err(|error| Failed::execution(&error))?;
        form.extend_from_slice(&data);
    }
    Ok(form)
}

/// # Errors
/// `Unsupported` for a form of several parts: it would be read as none.
fn is_form(headers: &HeaderMap) -> Result<bool> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next();
    let kind = kind.unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("multipart/form-data") {
        let problem = format!("Content-Type {kind} is not supported: send a form as {FORM}");
        return Err(Failed::new(ErrorType::Unsupported, problem));
    }
    Ok(kind.eq_ignore_ascii_case(FORM))
}

/// A compressed form would be read as garbage, or as nothing.
fn require_plain(headers: &HeaderMap) -> Result<()> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let problem = format!(
                "Content-Encoding {encoding:?} of a form is not supported: send it as it is"
            );
            Err(Failed::new(ErrorType::Unsupported, problem))
        }
        _ => Ok(()),
    }
}

/// Appends the parameters of a form.
pub(super) fn decode(form: &[u8], out: &mut Vec<(String, String)>) -> Result<()> {
    for pair in form
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        if out.len() == MAX_PARAMETERS {
            return Err(Failed::bad_data(format!(
                "more than {MAX_PARAMETERS} parameters"
            )));
        }
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let mut part = || bytes(parts.next().unwrap_or_default());
        let (name, value) = (part()?, part()?);
        // A name that is not UTF-8 is none that anybody asks for.
        let name = String::from_utf8_lossy(&name).into_owned();
        let value = String::from_utf8(value).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failed::parameter(&name, format!("invalid UTF-8 behind {at} bytes"))
        })?;
        out.push((name, value));
    }
    Ok(())
}

fn bytes(encoded: &[u8]) -> Result<Vec<u8>> {
    if let Some(wrong) = wrong_escape(encoded) {
        let wrong = String::from_utf8_lossy(wrong);
        return Err(Failed::bad_data(format!(
            "error parsing form values: invalid URL escape \"{wrong}\""
        )));
    }
    let spaced: Vec<u8> = encoded
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    Ok(percent_decode(&spaced).collect())
}

/// A percent sign without two digits behind it.
fn wrong_escape(encoded: &[u8]) -> Option<&[u8]> {
    let mut rest = encoded;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let escape = &rest[at..];
        match escape {
            [_, high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = behind;
            }
            _ => return Some(&escape[..escape.len().min(SHOWN_BYTES)]),
        }
    }
    None
}
