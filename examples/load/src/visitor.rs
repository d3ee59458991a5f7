//! One tenant's client: turns a planned action into requests, and knows under which tenant each must be counted.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde_json::json;

use crate::directory;
use crate::plan::{Action, MemberAction, StrangerAction};
use crate::tally::{NO_TENANT, Outcome, Tally, UNKNOWN_TENANT};
use crate::wire::{self, Answer, Visit, Wire, WireFault};

/// What all visitors share.
pub(crate) struct World {
    pub(crate) target: Url,
    pub(crate) wire: Wire,
    pub(crate) tally: Tally,
    /// A valid token of a tenant that the service does not list.
    pub(crate) unlisted_token: String,
}

/// How many of its projects and reports a client remembers.
const MEMORY: usize = 8;

/// The client of one tenant.
pub(crate) struct Visitor {
    tenant: String,
    /// Held while signing in, so that actions that arrive together sign in once.
    token: tokio::sync::Mutex<Option<String>>,
    projects: Mutex<VecDeque<i64>>,
    reports: Mutex<VecDeque<i64>>,
}

impl Visitor {
    pub(crate) fn new(tenant: String) -> Self {
        Self { tenant, token: tokio::sync::Mutex::new(None), projects: Mutex::default(), reports: Mutex::default() }
    }

    /// Does one planned action and counts each request of it. `id` names the action in the request ids.
    ///
    /// # Errors
    /// When a request ended in a way that cannot be counted.
    pub(crate) async fn act(&self, action: Action, id: usize, world: &World) -> Result<(), WireFault> {
        let errand = Errand { visitor: self, world, id };
        match action {
            Action::Stranger(action) => errand.stranger(action).await,
            Action::Member(action) => match self.token(&errand).await? {
                Some(token) => errand.member(action, &token).await,
                // The sign-in was refused and counted; the user gives up.
                None => Ok(()),
            },
        }
    }

    async fn token(&self, errand: &Errand<'_>) -> Result<Option<String>, WireFault> {
        let mut token = self.token.lock().await;
        if token.is_none() {
            *token = errand.sign_in(&directory::password(&self.tenant), "s").await?;
        }
        Ok(token.clone())
    }
}

/// One action on its way.
struct Errand<'a> {
    visitor: &'a Visitor,
    world: &'a World,
    id: usize,
}

impl Errand<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.world.wire.reusing.request(method, self.url(path))
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.world.target.clone();
        url.set_path(path);
        url
    }

    /// Sends a request that has to be counted under `label`.
    async fn counted(&self, label: &str, request: RequestBuilder) -> Result<Answer, WireFault> {
        let answer = wire::exchange(request, &format!("load-{}", self.id)).await?;
        self.world.tally.count(label, Outcome::from(answer.status));
        Ok(answer)
    }

    async fn stranger(&self, action: StrangerAction) -> Result<(), WireFault> {
        match action {
            StrangerAction::SignInWithWrongPassword => self.sign_in("a wrong password", "w").await.map(drop),
            StrangerAction::Scan { path } => self.counted(NO_TENANT, self.request(Method::GET, path)).await.map(drop),
            StrangerAction::ForgeTenantHeader => {
                let request = self.request(Method::GET, "/api/v1/projects");
                self.counted(NO_TENANT, request.header("x-tenant-id", &self.visitor.tenant)).await.map(drop)
            }
            StrangerAction::UnlistedTenant => {
                let request = self.request(Method::GET, "/api/v1/projects").bearer_auth(&self.world.unlisted_token);
                self.counted(UNKNOWN_TENANT, request).await.map(drop)
            }
        }
    }

    /// A sign-in belongs to the tenant only once the service has accepted it: before that nobody has proven anything.
    async fn sign_in(&self, password: &str, mark: &str) -> Result<Option<String>, WireFault> {
        let tenant = &self.visitor.tenant;
        let credentials = json!({"tenant": tenant, "user": directory::USER, "password": password});
        let request = self.request(Method::POST, "/login").json(&credentials);
        let answer = wire::exchange(request, &format!("load-{}{mark}", self.id)).await?;
        let label = if answer.status.is_success() { tenant } else { NO_TENANT };
        self.world.tally.count(label, Outcome::from(answer.status));
        Ok(token_of(&answer))
    }

    async fn member(&self, action: MemberAction, token: &str) -> Result<(), WireFault> {
        match action {
            MemberAction::ListProjects => self.own(Method::GET, "/api/v1/projects", token).await.map(drop),
            MemberAction::ReadProject => match newest(&self.visitor.projects) {
                Some(project) => self.own(Method::GET, &format!("/api/v1/projects/{project}"), token).await.map(drop),
                None => self.own(Method::GET, "/api/v1/projects", token).await.map(drop),
            },
            MemberAction::CreateProject => self.create_project(token).await,
            MemberAction::ListReports => self.own(Method::GET, "/api/v1/reports", token).await.map(drop),
            MemberAction::RequestReport => match newest(&self.visitor.projects) {
                Some(project) => self.request_report(project, token).await,
                None => self.create_project(token).await,
            },
            MemberAction::DownloadReport => match oldest(&self.visitor.reports) {
                Some(report) => {
                    self.own(Method::GET, &format!("/api/v1/reports/{report}/download"), token).await.map(drop)
                }
                None => self.own(Method::GET, "/api/v1/reports", token).await.map(drop),
            },
            MemberAction::RenewSession => self.own(Method::POST, "/api/v1/session/renew", token).await.map(drop),
            MemberAction::WatchActivity { hold } => self.watch(hold, token).await,
            MemberAction::ReadMissingProject => {
                self.own(Method::GET, "/api/v1/projects/999999999", token).await.map(drop)
            }
            MemberAction::CreateNamelessProject => {
                let request = self.request(Method::POST, "/api/v1/projects").bearer_auth(token);
                self.counted(&self.visitor.tenant, request.json(&json!({"name": ""}))).await.map(drop)
            }
            MemberAction::OddMethod { method } => {
                let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::OPTIONS);
                self.own(method, "/api/v1/projects", token).await.map(drop)
            }
            MemberAction::ForgeTenantHeader => {
                let request = self.request(Method::GET, "/api/v1/projects").bearer_auth(token);
                let forged = request.header("x-tenant-id", directory::tenant_name(0));
                self.counted(&self.visitor.tenant, forged).await.map(drop)
            }
        }
    }

    /// Sends a request with the tenant's own token and no body.
    async fn own(&self, method: Method, path: &str, token: &str) -> Result<Answer, WireFault> {
        self.counted(&self.visitor.tenant, self.request(method, path).bearer_auth(token)).await
    }

    async fn create_project(&self, token: &str) -> Result<(), WireFault> {
        let request = self.request(Method::POST, "/api/v1/projects").bearer_auth(token);
        let project = json!({"name": format!("Project {}", self.id)});
        let answer = self.counted(&self.visitor.tenant, request.json(&project)).await?;
        remember(&self.visitor.projects, &answer);
        Ok(())
    }

    async fn request_report(&self, project: i64, token: &str) -> Result<(), WireFault> {
        let request = self.request(Method::POST, &format!("/api/v1/projects/{project}/reports")).bearer_auth(token);
        let report = json!({"title": format!("Report {}", self.id)});
        let answer = self.counted(&self.visitor.tenant, request.json(&report)).await?;
        remember(&self.visitor.reports, &answer);
        Ok(())
    }

    async fn watch(&self, hold: Duration, token: &str) -> Result<(), WireFault> {
        let request = self.world.wire.single_use.get(self.url("/api/v1/activity")).bearer_auth(token);
        let outcome = match wire::watch(request, &format!("load-{}", self.id), hold).await? {
            Visit::Left => Outcome::Cancelled,
            Visit::Refused(answer) => Outcome::from(answer.status),
        };
        self.world.tally.count(&self.visitor.tenant, outcome);
        Ok(())
    }
}

fn token_of(answer: &Answer) -> Option<String> {
    if answer.status != StatusCode::OK {
        return None;
    }
    answer.field("token")?.as_str().map(str::to_owned)
}

fn remember(memory: &Mutex<VecDeque<i64>>, answer: &Answer) {
    let Some(id) = answer.field("id").and_then(|id| id.as_i64()) else { return };
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    if memory.len() == MEMORY {
        memory.pop_front();
    }
    memory.push_back(id);
}

fn newest(memory: &Mutex<VecDeque<i64>>) -> Option<i64> {
    memory.lock().unwrap_or_else(PoisonError::into_inner).back().copied()
}

/// The report that has had the most time to become ready.
fn oldest(memory: &Mutex<VecDeque<i64>>) -> Option<i64> {
    memory.lock().unwrap_or_else(PoisonError::into_inner).front().copied()
}
