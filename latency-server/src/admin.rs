//! `GET /admin`: the page on which the holder of a token sees how the models are, loads them again, and unloads them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use rocket::fairing::AdHoc;
use rocket::form::{Form, FromForm};
use rocket::http::{RawStr, Status};
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};
use rocket::response::{self, Redirect, Responder};
use rocket::{Request, State, get, post, routes};
use rocket_dyn_templates::Template;
use serde::Serialize;

use crate::auth::{self, OwnSite};
use crate::body::Body;
use crate::client::Client;
use crate::errors::Failure;
use crate::logging::AUDIT;
use crate::models::{Counts, Current, Models, Reload, Slot};
use crate::reload;
use crate::rfc3339::rfc3339;
use crate::session::{Session, not_from_here};
use crate::tokens::{Token, Tokens};

pub(crate) const TEMPLATE: &str = "admin.html";

/// Attaches the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin", |rocket| async { rocket.mount("/", routes![page, sign_in, load, unload, sign_out]) })
}

#[get("/admin")]
fn page(visitor: Visitor, models: &State<Models>) -> Result<Page, Failure> {
    let error = visitor.tokens.as_ref().err().cloned();
    visitor.page(error, models)
}

#[derive(FromForm)]
struct SignIn {
    csrf: String,
    token: String,
}

#[post("/admin/sign-in", data = "<body>")]
fn sign_in(
    visitor: Visitor,
    own: Result<OwnSite, Failure>,
    body: Result<Body, Failure>,
    models: &State<Models>,
) -> Result<Result<Moved, Page>, Failure> {
    let (visitor, form) = visitor.form(own, body, |form: &SignIn| &form.csrf)?;
    let found = visitor.tokens.as_ref().map(|tokens| tokens.find(form.token.trim())).map_err(Failure::clone);
    match found {
        Ok(Some(token)) if token.scopes.admin => {
            log::warn!(target: AUDIT, "signed in on the page: {}", auth::by(&token, visitor.ip));
            // A new session: nobody else can have known its secrets before.
            Ok(Ok(Moved(Some(Session::start(Some(token.hash))?))))
        }
        Ok(_) => visitor.page(Some(not_admin()), models).map(Err),
        Err(failure) => visitor.page(Some(failure), models).map(Err),
    }
}

/// Which model a button is about.
#[derive(FromForm)]
struct OfModel {
    csrf: String,
    model: String,
}

#[post("/admin/reload", data = "<body>")]
async fn load(
    visitor: Visitor,
    own: Result<OwnSite, Failure>,
    body: Result<Body, Failure>,
    models: &State<Models>,
) -> Result<Result<Moved, Page>, Failure> {
    let button = async |name: &str, by| reload::reload(Arc::clone(models.asked(Some(name))?), by).await.map(drop);
    pressed(visitor, own, body, models, button).await
}

#[post("/admin/unload", data = "<body>")]
async fn unload(
    visitor: Visitor,
    own: Result<OwnSite, Failure>,
    body: Result<Body, Failure>,
    models: &State<Models>,
) -> Result<Result<Moved, Page>, Failure> {
    let button = async |name: &str, by: String| reload::unload(models, name, &by);
    pressed(visitor, own, body, models, button).await
}

/// Does what a model's button is for, given the model's name and who asks; the page says why it was not done.
async fn pressed(
    visitor: Visitor,
    own: Result<OwnSite, Failure>,
    body: Result<Body, Failure>,
    models: &Models,
    button: impl AsyncFnOnce(&str, String) -> Result<(), Failure>,
) -> Result<Result<Moved, Page>, Failure> {
    let (visitor, form) = visitor.form(own, body, |form: &OfModel| &form.csrf)?;
    let Some(token) = visitor.token() else { return visitor.page(Some(not_admin()), models).map(Err) };
    match button(&form.model, auth::by(&token, visitor.ip)).await {
        Ok(()) => Ok(Ok(Moved(visitor.session))),
        Err(failure) => visitor.page(Some(failure), models).map(Err),
    }
}

#[derive(FromForm)]
struct SignOut {
    csrf: String,
}

#[post("/admin/sign-out", data = "<body>")]
fn sign_out(visitor: Visitor, own: Result<OwnSite, Failure>, body: Result<Body, Failure>) -> Result<Moved, Failure> {
    visitor.form(own, body, |form: &SignOut| &form.csrf)?;
    Ok(Moved(None))
}

fn not_admin() -> Failure {
    Failure::new(
        Status::Unauthorized,
        "UNAUTHORIZED",
        "found a token that is not known, or one without the scope admin; allowed: one that this server knows, with it",
    )
}

/// Whoever is in front of the page.
struct Visitor {
    session: Option<Session>,
    ip: Option<IpAddr>,
    tokens: Result<Tokens, Failure>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Visitor {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Infallible> {
        let tokens = auth::tokens(request).cloned();
        Outcome::Success(Self { session: Session::of(request), ip: Client::of(request).ip, tokens })
    }
}

impl Visitor {
    /// The token that was shown, as long as it is in the file and may do this.
    fn token(&self) -> Option<Arc<Token>> {
        let token = self.tokens.as_ref().ok()?.by_hash(&self.session.as_ref()?.token?)?;
        token.scopes.admin.then_some(token)
    }

    /// Takes a form from a page of this visitor's session, and no other.
    fn form<F: for<'f> FromForm<'f> + 'static>(
        self,
        own: Result<OwnSite, Failure>,
        body: Result<Body, Failure>,
        csrf: impl Fn(&F) -> &str,
    ) -> Result<(Self, F), Failure> {
        own?;
        let Body(text) = body?;
        let form: F = Form::parse_encoded(RawStr::new(&text)).map_err(|_| not_from_here())?;
        self.session.as_ref().ok_or_else(not_from_here)?.check(csrf(&form))?;
        Ok((self, form))
    }

    fn page(self, error: Option<Failure>, models: &Models) -> Result<Page, Failure> {
        let signed_in = self.token().map(|token| SignedIn {
            name: token.name.clone(),
            models: models.slots().map(|slot| Shown::new(slot, models)).collect(),
        });
        let session = match self.session {
            Some(session) => session,
            None => Session::start(None)?,
        };
        let status = error.as_ref().map_or(Status::Ok, |error| error.status);
        let view = View {
            here: "admin",
            csrf: session.csrf.clone(),
            error: error.map(|error| error.message),
            has_tokens: self.tokens.is_ok(),
            signed_in,
            version: env!("CARGO_PKG_VERSION"),
        };
        Ok(Page { status, view, session })
    }
}

/// A page, and the session that its forms belong to.
struct Page {
    status: Status,
    view: View,
    session: Session,
}

impl<'r> Responder<'r, 'static> for Page {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        self.session.keep(request);
        (self.status, Template::render(TEMPLATE, self.view)).respond_to(request)
    }
}

/// Back to the page, so that loading it again repeats nothing; with this session or none.
struct Moved(Option<Session>);

impl<'r> Responder<'r, 'static> for Moved {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match self.0 {
            Some(session) => session.keep(request),
            None => Session::end(request),
        }
        Redirect::to("/admin").respond_to(request)
    }
}

/// What the template gets to see.
#[derive(Serialize)]
struct View {
    here: &'static str,
    csrf: String,
    error: Option<Cow<'static, str>>,
    has_tokens: bool,
    signed_in: Option<SignedIn>,
    version: &'static str,
}

#[derive(Serialize)]
struct SignedIn {
    name: String,
    models: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    version: String,
    source: &'static str,
    /// Whether it answers no more.
    unloaded: bool,
    /// Whether it has to answer.
    required: bool,
    /// Since when it answers, or does not, and who unloaded it.
    since: String,
    counts: Counts,
    last: Option<Reload>,
}

impl Shown {
    fn new(slot: &Slot, models: &Models) -> Self {
        let current = slot.current();
        let (version, since) = match &current {
            Current::Answers(served) => (served.predictor.model_info().version.clone(), rfc3339(served.since)),
            Current::Unloaded(unloaded) => (unloaded.version.clone(), format!("{}, by {}", unloaded.at, unloaded.by)),
        };
        let (counts, last) = slot.reloads();
        Self {
            name: slot.name().to_owned(),
            version,
            source: slot.source().kind(),
            unloaded: matches!(current, Current::Unloaded(_)),
            required: slot.name() == models.default_slot().name(),
            since,
            counts,
            last,
        }
    }
}
