//! The home of streams: takes claims, decides between publishers of one name, and pulls from the ingress.

mod claims;
mod duplicate;
mod pull;
mod table;

pub(crate) use table::Homes;
