//! to be written
pub(super) fn pow(a: f64, b: f64) -> f64 {
    a.powf(b)
}
pub(super) fn atan2(a: f64, b: f64) -> f64 {
    a.atan2(b)
}
