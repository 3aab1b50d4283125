//! The operations of other protocols, in short: their own documents say the rest.

use serde_json::{Value, json};

use super::operations::Operation;

/// A protocol: its name, and the form of its errors.
struct Protocol {
    name: &'static str,
    errors: Value,
}

/// Every operation, in the order in which the page shows them.
pub fn all() -> Vec<Operation> {
    inference().into_iter().chain(scoring()).collect()
}

/// The Open Inference Protocol.
fn inference() -> Vec<Operation> {
    let text = json!({"type": "string"});
    let object = json!({"type": "object"});
    let oip = Protocol {
        name: "Open Inference Protocol v2",
        errors: json!({"type": "object", "properties": {"error": text}, "required": ["error"]}),
    };
    let ready = json!({"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]});
    let tensors = |data: &str| {
        json!({"type": "array", "items": {
            "type": "object",
            "properties": {
                "name": text,
                "datatype": text,
                "shape": {"type": "array", "items": {"type": "integer"}},
                "data": {"type": "array", "description": data},
            },
            "required": ["name"],
        }})
    };
    let question = json!({
        "type": "object",
        "properties": {
            "id": text,
            "inputs": tensors("One value per row, or one array per row of a matrix; null where none is known."),
            "outputs": tensors("Not sent."),
        },
        "required": ["inputs"],
    });
    let inferred = json!({
        "type": "object",
        "properties": {"model_name": text, "model_version": text, "id": text, "outputs": tensors("One number per row.")},
        "required": ["model_name", "model_version", "outputs"],
    });
    let list = json!({"type": "array", "items": object});

    let mut all = vec![
        oip.get("/v2", "Which server answers, and which extensions it speaks", &object),
        oip.get("/v2/health/live", "Whether the server runs", &object),
        oip.get("/v2/health/ready", "Whether the server can answer", &ready),
    ];
    for (model, ready_path, infer) in [
        ("/v2/models/{name}", "/v2/models/{name}/ready", "/v2/models/{name}/infer"),
        (
            "/v2/models/{name}/versions/{version}",
            "/v2/models/{name}/versions/{version}/ready",
            "/v2/models/{name}/versions/{version}/infer",
        ),
    ] {
        all.extend([
            oip.get(model, "A model's inputs and outputs", &object),
            oip.get(ready_path, "Whether a model can answer", &ready),
            oip.post(infer, "Predict the rows of tensors", Some(&question), &inferred),
        ]);
    }
    all.push(oip.post("/v2/repository/index", "Which models there are", None, &list));
    for (path, summary) in [
        ("/v2/repository/models/{name}/load", "Load a model again"),
        ("/v2/repository/models/{name}/unload", "Unload a model, unless it is the default one"),
    ] {
        let mut operation = oip.post(path, summary, None, &object);
        operation.description["security"] = json!([{"token": []}]);
        all.push(operation);
    }
    all
}

/// The protocol of `MLflow`'s scoring server and deployments.
fn scoring() -> Vec<Operation> {
    let text = json!({"type": "string"});
    let object = json!({"type": "object"});
    let mlflow = Protocol {
        name: "MLflow scoring protocol",
        errors: json!({
            "type": "object",
            "properties": {"error_code": text, "message": text},
            "required": ["error_code", "message"],
        }),
    };
    let rows = json!({
        "type": "object",
        "description": "One of the keys.",
        "properties": {
            "dataframe_split": object,
            "dataframe_records": {"type": "array", "items": object},
            "instances": {"type": "array", "items": object},
            "inputs": {"type": ["object", "array"]},
        },
    });
    let scored = json!({
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": object}},
        "required": ["predictions"],
    });
    let mut version = mlflow.get("/version", "The MLflow whose protocol this is", &text);
    version.description["responses"]["200"]["content"] = json!({"text/plain": {"schema": text}});
    let mut all = vec![mlflow.get("/ping", "Whether the server can answer", &object), version];
    for (path, summary) in [
        ("/invocations", "Predict the rows of a table"),
        ("/endpoints/{name}/invocations", "The same of a model by its name"),
    ] {
        let mut invocations = mlflow.post(path, summary, Some(&rows), &scored);
        for kind in ["text/csv", "application/vnd.apache.parquet"] {
            invocations.description["requestBody"]["content"][kind] = json!({"schema": text});
        }
        all.push(invocations);
    }
    all.extend([
        mlflow.get("/api/2.0/endpoints", "The models as `mlflow.deployments` looks for them", &object),
        mlflow.get("/api/2.0/endpoints/{name}", "One of them", &object),
    ]);
    all
}

impl Protocol {
    fn get(&self, path: &'static str, summary: &str, answer: &Value) -> Operation {
        let parameters = path.split(['{', '}']).skip(1).step_by(2);
        let parameters: Value = parameters
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        let described = |description: &str, schema: &Value| json!({"description": description, "content": {"application/json": {"schema": schema}}});
        let description = json!({
            "summary": summary,
            "description": format!("Part of the {}.", self.name),
            "parameters": parameters,
            "responses": {"200": described("The answer.", answer), "default": described("An error.", &self.errors)},
        });
        Operation { path, method: "get", description }
    }

    fn post(&self, path: &'static str, summary: &str, question: Option<&Value>, answer: &Value) -> Operation {
        let mut operation = Operation { method: "post", ..self.get(path, summary, answer) };
        if let Some(question) = question {
            operation.description["requestBody"] =
                json!({"required": true, "content": {"application/json": {"schema": question}}});
        }
        operation
    }
}
