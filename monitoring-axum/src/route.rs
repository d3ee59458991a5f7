//! The route of a request, as labels name it.

use axum::extract::MatchedPath;
use http::Extensions;
use monitoring_core::Symbol;

use crate::record::HttpServer;
use crate::settings::Settings;

/// What stands for the template of a request that matched no route: no client can make up another one.
const UNMATCHED: &str = "unmatched";

/// A route's template, and the group that the application puts it into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) template: Symbol,
    pub(crate) group: Symbol,
}

impl Route {
    /// The route that an axum router has matched already.
    pub(crate) fn matched(extensions: &Extensions, settings: &Settings, instruments: &HttpServer) -> Option<Self> {
        let template = extensions.get::<MatchedPath>()?.as_str();
        Some(Self {
            template: instruments.symbol(template),
            group: match settings.route_group(template) {
                Some(group) => instruments.symbol(group),
                None => instruments.default_group,
            },
        })
    }

    /// The place of all requests that no route matched.
    pub(crate) fn unmatched(settings: &Settings, instruments: &HttpServer) -> Self {
        Self {
            template: instruments.unmatched,
            group: match settings.route_group(UNMATCHED) {
                Some(group) => instruments.symbol(group),
                None => instruments.unmatched,
            },
        }
    }
}
