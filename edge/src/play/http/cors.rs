//! Which pages may play.

/// What pages of other origins may do.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub(crate) fn new(origins: &[String]) -> Cors {
        Cors {
            origins: origins.to_vec(),
        }
    }

    /// Whether the page of `origin` may play.
    pub(super) fn allows(&self, origin: &str) -> bool {
        self.origins
            .iter()
            .any(|allowed| allowed == "*" || allowed == origin)
    }

    /// The header fields that let the page of `origin` read an answer.
    pub(super) fn fields<'a>(
        &self,
        origin: Option<&'a str>,
    ) -> impl Iterator<Item = (&'static str, &'a str)> {
        let any = self.origins.iter().any(|allowed| allowed == "*");
        let allowed = if any {
            Some("*")
        } else {
            origin.filter(|origin| self.allows(origin))
        };
        let vary = (!any).then_some(("Vary", "Origin"));
        vary.into_iter()
            .chain(allowed.map(|allowed| ("Access-Control-Allow-Origin", allowed)))
    }
}
