//! The grammar that Go durations and byte sizes share: `[-+]?([0-9]*(\.[0-9]*)?[a-z]+)+`.

/// One number with its unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity<'a> {
    /// Digits before the point.
    pub(crate) whole: u64,
    /// Digits after the point, as an integer; those beyond 63 bits are dropped.
    pub(crate) fraction: u64,
    /// What `fraction` is to be divided by.
    pub(crate) scale: f64,
    /// All up to the next digit or point; may be empty.
    pub(crate) unit: &'a str,
}

/// Splits a sign off; true means minus.
pub(crate) fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Takes the first quantity off `text`. `None` if it does not start with one, or with a number
/// beyond 2^63.
pub(crate) fn take<'a>(text: &mut &'a str) -> Option<Quantity<'a>> {
    let whole_digits = take_while(text, |c| c.is_ascii_digit());
    let mut fraction_digits = "";
    if let Some(rest) = text.strip_prefix('.') {
        *text = rest;
        fraction_digits = take_while(text, |c| c.is_ascii_digit());
    }
    if whole_digits.is_empty() && fraction_digits.is_empty() {
        return None;
    }
    let whole = if whole_digits.is_empty() {
        0
    } else {
        whole_digits.parse().ok()?
    };
    if whole > 1 << 63 {
        return None;
    }
    let unit = take_while(text, |c| c != '.' && !c.is_ascii_digit());
    let (mut fraction, mut scale) = (0_u64, 1.0);
    for digit in fraction_digits.bytes() {
        match fraction
            .checked_mul(10)
            .and_then(|f| f.checked_add(u64::from(digit - b'0')))
        {
            Some(longer) if longer <= 1 << 63 => fraction = longer,
            _ => break,
        }
        scale *= 10.0;
    }
    Some(Quantity {
        whole,
        fraction,
        scale,
        unit,
    })
}

fn take_while<'a>(text: &mut &'a str, wanted: impl Fn(char) -> bool) -> &'a str {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}
