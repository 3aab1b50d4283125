//! What `MLflow`'s scoring server and its deployments server answer, so that their clients work unchanged:
//! `/invocations` with the rows as JSON, CSV or Parquet, and the endpoints that `mlflow.deployments` looks for.
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

use self::rows::{Kind, Text};
use crate::all_rows::{AllRows, predict_file, work};
use crate::body::Content;
use crate::errors::{Failure, Json, json};
use crate::health;
use crate::limits::Share;
use crate::models::{Model, Models, Served};
use crate::parquet::Readers;
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
        let Some(kind) = request.headers().get_one("Content-Type") else {
            return Outcome::Success(Self::Text(Text::Json));
        };
        if let Some(kind) = kind.parse().ok().and_then(|kind: ContentType| Self::of(&kind)) {
            return Outcome::Success(kind);
        }
        let message = format!(
            "found the Content-Type {kind:?}; allowed: application/json or text/csv, in UTF-8, or application/vnd.apache.parquet"
        );
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
    share: Result<Share<'_>, Failure>,
    readers: &State<Readers>,
) -> Result<Json, Failure> {
    let body = body?;
    query.only(&["model"])?;
    score(model?.0, kind?, body, share?, readers).await
}

#[post("/endpoints/<name>/invocations", data = "<body>")]
async fn endpoint_invocations(
    name: &str,
    kind: Result<Kind, Failure>,
    body: Result<Content, Failure>,
    models: &State<Models>,
    share: Result<Share<'_>, Failure>,
    readers: &State<Readers>,
) -> Result<Json, Failure> {
    let body = body?;
    score(models.asked(Some(name))?.answering()?, kind?, body, share?, readers).await
}

async fn score(
    served: Arc<Served>,
    kind: Kind,
    Content(body): Content,
    share: Share<'_>,
    readers: &Readers,
) -> Result<Json, Failure> {
    match kind {
        Kind::Text(text) => {
            work(body.len(), move || {
                let mut rows = AllRows::new(Arc::clone(&served));
                text.read(&body, &served.predictor, &mut rows)?;
                drop(body);
                json(&Scored { predictions: Records(vec![rows.predict()?]) })
            })
            .await
        }
        Kind::Parquet => {
            // Others have their turn while this one waits.
            share.end_turn();
            let leave = readers.leave().await?;
            share.admit_again().await?;
            let scored = move || json(&Scored { predictions: Records(predict_file(&served, body, leave)?) });
            let (kind, answer) = work(usize::MAX, scored).await?;
            // A small file may have very many rows.
            share.hold(answer.len())?;
            Ok((kind, answer))
        }
    }
}

#[derive(Serialize)]
struct Scored {
    predictions: Records,
}

/// Predictions, in parts, as a list of objects: what `MLflow` makes of a table.
struct Records(Vec<Predictions>);

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts: Vec<(usize, Vec<_>)> = self.0.iter().map(|part| (part.len(), part.columns().collect())).collect();
        let rows = parts.iter().flat_map(|(rows, columns)| (0..*rows).map(move |row| Record { columns, row }));
        serializer.collect_seq(rows)
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
