//! The home of streams: takes claims, decides between publishers of one name, and pulls from the ingress.

mod backup;
mod claims;
mod duplicate;
mod pull;
mod table;

pub(crate) use backup::SILENT;
pub(crate) use table::Homes;
