//! What each setting means, taken from the documentation of the struct's fields.

use std::fmt::Write as _;
use std::marker::PhantomData;

use super::Schema;

/// A struct of settings whose fields carry their documentation at run time; made by [`documented!`](crate::documented).
pub trait Documented {
    /// The fields, those of nested documented structs with their path.
    fn described() -> Vec<Described>;
}

/// A setting with its documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `level`, or `rtmp.chunk_bytes` in a nested struct.
    pub path: String,
    /// The text of its documentation, on one line.
    pub text: String,
}

/// Defines a struct as it stands and makes the documentation of its fields readable at run time
/// ([`Documented`](crate::config::Documented)), for `--help` and for the page of settings.
///
/// ```
/// headwater_process::documented! {
///     /// How long the house is open.
///     #[derive(Default)]
///     pub struct Hours {
///         /// The hour at which it opens, from 0 to 23.
///         pub from: u8,
///     }
/// }
/// use headwater_process::config::Documented;
/// assert_eq!(Hours::described()[0].text, "The hour at which it opens, from 0 to 23.");
/// ```
#[macro_export]
macro_rules! documented {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$($attribute:tt)*])* $field_vis:vis $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $( $(#[$($attribute)*])* $field_vis $field : $type ),*
        }

        impl $crate::config::Documented for $name {
            fn described() -> Vec<$crate::config::Described> {
                #[allow(unused_imports, reason = "which one is needed depends on the fields' types")]
                use $crate::config::{AnyField as _, DocumentedField as _};
                let mut all = Vec::new();
                $(
                    (&$crate::config::Probe::<$type>::new()).describe(
                        stringify!($field),
                        concat!($( $crate::documented!(@text $($attribute)*), )* ""),
                        &mut all,
                    );
                )*
                all
            }
        }
    };
    (@text doc = $text:literal) => { $text };
    (@text $($other:tt)*) => { "" };
}

/// Stands for a field's type while its documentation is collected.
#[doc(hidden)]
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

#[doc(hidden)]
impl<T> Probe<T> {
    #[expect(clippy::new_without_default, reason = "only the macro makes one")]
    pub fn new() -> Self {
        Probe(PhantomData)
    }
}

/// A field whose type is a documented struct: its fields are described in its place.
#[doc(hidden)]
pub trait DocumentedField {
    fn describe(&self, name: &str, text: &str, all: &mut Vec<Described>);
}

impl<T: Documented> DocumentedField for Probe<T> {
    fn describe(&self, name: &str, _text: &str, all: &mut Vec<Described>) {
        all.extend(T::described().into_iter().map(|inner| Described {
            path: format!("{name}.{}", inner.path),
            text: inner.text,
        }));
    }
}

/// Any other field. Method look-up finds [`DocumentedField`] first, as that needs one reference less.
#[doc(hidden)]
pub trait AnyField {
    fn describe(&self, name: &str, text: &str, all: &mut Vec<Described>);
}

impl<T> AnyField for &Probe<T> {
    fn describe(&self, name: &str, text: &str, all: &mut Vec<Described>) {
        all.push(Described {
            path: name.to_owned(),
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        });
    }
}

/// The settings as a page of Markdown: a table for each group, with name, default and meaning.
///
/// Groups and settings stand in the order of `described`; what has no description comes last, with an empty one.
pub fn page(schema: &Schema, described: &[Described]) -> String {
    let mut page = String::new();
    let mut group = None;
    let undescribed = schema
        .leaves()
        .iter()
        .filter(|leaf| described.iter().all(|known| known.path != leaf.path))
        .map(|leaf| (leaf, ""));
    let rows = described
        .iter()
        .filter_map(|known| Some((schema.leaf(&known.path)?, known.text.as_str())))
        .chain(undescribed);
    for (leaf, text) in rows {
        if group != Some(leaf.group()) {
            group = Some(leaf.group());
            let _ = write!(
                page,
                "\n## {}\n\n| Setting | Default | Meaning |\n| --- | --- | --- |\n",
                leaf.group()
            );
        }
        let default = if leaf.default.is_null() {
            String::new()
        } else {
            let shown = leaf
                .default
                .as_str()
                .map_or_else(|| leaf.default.to_string(), str::to_owned);
            if shown.is_empty() {
                String::new()
            } else {
                format!("`{shown}`")
            }
        };
        let _ = writeln!(
            page,
            "| `{}` | {default} | {} |",
            leaf.path,
            text.replace('|', "\\|")
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    documented! {
        /// Outer.
        #[derive(Serialize, Default)]
        struct Outer {
            /// First line,
            /// second line.
            #[serde(rename = "first")]
            first: u32,
            /// A group.
            inner: Inner,
        }
    }

    documented! {
        /// Inner.
        #[derive(Serialize, Default)]
        struct Inner {
            /// A name, or `a|b`.
            name: Option<String>,
        }
    }

    #[test]
    fn fields_of_nested_structs_are_described_with_their_path() {
        let described: Vec<(String, String)> = Outer::described()
            .into_iter()
            .map(|one| (one.path, one.text))
            .collect();
        assert_eq!(
            described,
            [
                ("first".to_owned(), "First line, second line.".to_owned()),
                ("inner.name".to_owned(), "A name, or `a|b`.".to_owned()),
            ]
        );
    }

    #[test]
    fn the_page_has_a_table_for_each_group() {
        let schema = Schema::of::<Outer>().unwrap();
        let page = page(&schema, &Outer::described());
        assert!(
            page.contains("| `first` | `0` | First line, second line. |"),
            "{page}"
        );
        assert!(
            page.contains("| `inner.name` |  | A name, or `a\\|b`. |"),
            "{page}"
        );
    }
}
