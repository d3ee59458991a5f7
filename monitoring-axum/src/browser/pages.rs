//! Which page a report is about: one of the application's, so that no browser can make up another.

use matchit::Router;

/// A template of [`Browser::pages`](super::Browser::pages) is none, or says the same as another one.
#[derive(Debug, thiserror::Error)]
#[error(
    "the page {template:?} cannot be told from others: {source}; give each page once, as in axum: \"/invoices/{{id}}\""
)]
pub struct InvalidPage {
    template: String,
    source: matchit::InsertError,
}

/// The templates of the pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    templates: Router<&'static str>,
}

impl Pages {
    /// What all other paths are.
    const UNMATCHED: &'static str = "unmatched";

    pub(super) fn add(&mut self, template: &'static str) -> Result<(), InvalidPage> {
        let added = self.templates.insert(template, template);
        added.map_err(|source| InvalidPage { template: template.to_owned(), source })
    }

    /// The template that a path is of.
    pub(super) fn of(&self, path: &str) -> &'static str {
        self.templates.at(path).map_or(Self::UNMATCHED, |found| found.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_no_page_has_is_unmatched() {
        let mut pages = Pages::default();
        pages.add("/invoices/{id}").unwrap();
        pages.add("/").unwrap();
        assert_eq!(pages.of("/invoices/7"), "/invoices/{id}");
        assert_eq!(pages.of("/"), "/");
        for made_up in ["", "/invoices", "/invoices/7/x", "//", "/\u{202e}", "{id}"] {
            assert_eq!(pages.of(made_up), "unmatched", "{made_up:?}");
        }
    }

    #[test]
    fn a_template_that_is_given_twice_or_is_none_is_refused_and_named() {
        let mut pages = Pages::default();
        pages.add("/invoices/{id}").unwrap();
        for template in ["/invoices/{number}", "/invoices/{id"] {
            let error = pages.add(template).unwrap_err().to_string();
            assert!(error.contains(template), "{error}");
        }
    }
}
