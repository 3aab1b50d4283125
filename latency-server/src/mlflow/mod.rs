//! What `MLflow`'s scoring server and its deployments server answer, so that their clients work unchanged:
//! `/invocations` with the rows as JSON or CSV, and the endpoints that `mlflow.deployments` looks for.
//!
//! A row that cannot be answered fails its request, as it does in a model that `MLflow` itself serves.

mod rows;

use std::sync::Arc;

use latency_core::Predictions;
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Status};
use rocket::outcome::Outcome;
use rocket::request::{self, FromRequest};
use rocket::{Request, State, get, post, routes};
use serde::{Serialize, Serializer};

use self::rows::Kind;
use crate::all_rows::{AllRows, work};
use crate::body::Content;
use crate::errors::{Failure, Json, json};
use crate::health;
use crate::models::{Model, Models, Served};
use crate::query::Query;
use crate::stopping::Stopping;

/// The `MLflow` whose protocol this is, as its clients ask for it.
const VERSION: &str = "3.17.2";

/// Attaches the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("mlflow", |rocket| async {
        rocket.mount("/", routes![ping, version, invocations, endpoints, endpoint, endpoint_invocations])
    })
}

/// Beside it, `GET /health` answers 200 for every dialect.
#[get("/ping")]
fn ping(models: &State<Models>, stopping: &State<Stopping>) -> Result<Json, Failure> {
    health::readiness(models, stopping)
}

/// Bare, as `MLflow` writes it.
#[get("/version")]
fn version() -> (ContentType, &'static str) {
    (ContentType::Plain, VERSION)
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Kind {
    type Error = Failure;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Failure> {
        let Some(kind) = request.headers().get_one("Content-Type") else { return Outcome::Success(Self::Json) };
        if let Some(kind) = kind.parse().ok().and_then(|kind: ContentType| Self::of(&kind)) {
            return Outcome::Success(kind);
        }
        let message = format!("found the Content-Type {kind:?}; allowed: application/json or text/csv, in UTF-8");
        let status = Status::UnsupportedMediaType;
        Outcome::Error((status, Failure::new(status, "UNSUPPORTED_MEDIA_TYPE", message)))
    }
}

#[post("/invocations", data = "<body>")]
async fn invocations(
    query: Query,
    kind: Result<Kind, Failure>,
    body: Result<Content, Failure>,
    model: Result<Model, Failure>,
) -> Result<Json, Failure> {
    let body = body?;
    query.only(&["model"])?;
    score(model?.0, kind?, body).await
}

#[post("/endpoints/<name>/invocations", data = "<body>")]
async fn endpoint_invocations(
    name: &str,
    kind: Result<Kind, Failure>,
    body: Result<Content, Failure>,
    models: &State<Models>,
) -> Result<Json, Failure> {
    let body = body?;
    score(models.asked(Some(name))?.answering()?, kind?, body).await
}

async fn score(served: Arc<Served>, kind: Kind, Content(body): Content) -> Result<Json, Failure> {
    work(body.len(), move || {
        let mut rows = AllRows::new(Arc::clone(&served));
        kind.read(&body, &served.predictor, &mut rows)?;
        drop(body);
        json(&Scored { predictions: Records(rows.predict()?) })
    })
    .await
}

#[derive(Serialize)]
struct Scored {
    predictions: Records,
}

/// Predictions as a list of objects: what `MLflow` makes of a table.
struct Records(Predictions);

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns: Vec<_> = self.0.columns().collect();
        serializer.collect_seq((0..self.0.len()).map(|row| Record { columns: &columns, row }))
    }
}

struct Record<'a> {
    columns: &'a [(&'static str, &'a [f32])],
    row: usize,
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().map(|(name, numbers)| (name, numbers.get(self.row))))
    }
}

#[derive(Serialize)]
struct Endpoint {
    name: String,
    #[serde(rename = "endpoint_type")]
    kind: &'static str,
    model: EndpointModel,
    #[serde(rename = "endpoint_url")]
    path: String,
    limit: Option<()>,
}

#[derive(Serialize)]
struct EndpointModel {
    name: String,
    provider: &'static str,
}

impl Endpoint {
    fn of(name: &str, served: &Served) -> Self {
        Self {
            name: name.to_owned(),
            kind: "latency/v1/predict",
            model: EndpointModel { name: served.predictor.model_info().name.clone(), provider: env!("CARGO_PKG_NAME") },
            path: format!("/endpoints/{name}/invocations"),
            limit: None,
        }
    }
}

#[derive(Serialize)]
struct Endpoints {
    endpoints: Vec<Endpoint>,
}

#[get("/api/2.0/endpoints")]
fn endpoints(models: &State<Models>) -> Result<Json, Failure> {
    let loaded = models.slots().filter_map(|slot| Some(Endpoint::of(slot.name(), &*slot.served()?)));
    json(&Endpoints { endpoints: loaded.collect() })
}

#[get("/api/2.0/endpoints/<name>")]
fn endpoint(name: &str, models: &State<Models>) -> Result<Json, Failure> {
    json(&Endpoint::of(name, &*models.asked(Some(name))?.answering()?))
}
