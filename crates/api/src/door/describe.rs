//! The OpenAPI 3.1 document, made from the table of doors.

use super::{Body, Need, Reply, Rule, Scope, table};
use crate::caller::role_text;
use crate::refusal::PROBLEM_TYPE;
use lace_wire::api;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ComponentsBuilder, Content, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathItem,
    Paths, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
};

const TOKEN_SCHEME: &str = "token";

const ABOUT: &str = "Everything that the command line and the dashboard can do. Errors are Problems. A session \
    cookie (from /login) does instead of a token, for our own pages only: a request with an Origin must come from \
    ours, and whatever is not GET must carry the header X-Lace-Csrf.";

/// Nouns of the model that travel as they are; what they hold is told in crate `lace-model`.
const NOUNS: &[(&str, &str)] = &[
    ("Application", "An application: name, created_at, deleting."),
    ("ApplicationSpec", "What a manifest says of an application, after variables and stages."),
    ("ApplyRequest", "A manifest's statement about an application: app, spec, prune, delete_data, plan."),
    (
        "Revision",
        "A revision of a service: number, spec (release, environment, secrets by name), when, by whom.",
    ),
    ("Event", "A fact that happened: seq, at, kind, subject, message, actor."),
    ("Job", "Work that ends: id, app, state, exit, last_lines and more."),
    ("NodeTask", "A verb on a node: id, path, verb, deadline, operation, state, cause, lines."),
    ("Provider", "An account at an infrastructure: name, kind, region, endpoint, names of its credentials."),
    ("Pool", "Where hosts can be had: name, provider, region, zone, image, profile, attributes, price."),
    (
        "Charge",
        "A row of the ledger: month, host, name, pool, reason, currency, from, until, lines (who pays how much).",
    ),
    ("Operation", "A long piece of work: id, verb, subject, waits, state, code, message."),
    ("Plan", "The changes of an apply, the digest that pins them, and what they cost per hour."),
    (
        "Backup",
        "A copy of what a service holds: id, service, node, package, version, tree, bytes, made_at, made_by.",
    ),
    ("Package", "A package: spec (what its package.toml says), tree, bytes, built_in, uploaded_at."),
    ("SignUp", "Whether strangers may become users: open, and the team that they come into."),
    ("Release", "An uploaded version of a user's code."),
    (
        "VmTop",
        "The largest processes: processes, looked_at, top (pid, name, function, memory, reductions, messages).",
    ),
    (
        "Certificate",
        "What may be shown of a certificate: host, names, not_before, not_after, issuer, digest, version.",
    ),
    ("SecretInfo", "What may be shown of a secret: name, version, updated_at."),
];

/// The whole document.
pub(crate) fn document(version: &str) -> OpenApi {
    let mut paths = Paths::new();
    for door in table() {
        let item = PathItem::new(verb(&door.rule), operation(&door.rule));
        match paths.paths.get_mut(door.rule.path) {
            Some(known) => known.merge_operations(item),
            None => drop(paths.paths.insert(door.rule.path.into(), item)),
        }
    }
    let info = InfoBuilder::new().title("Lace").version(version).description(Some(ABOUT)).build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components())).build()
}

fn verb(rule: &Rule) -> HttpMethod {
    match rule.method {
        "PUT" => HttpMethod::Put,
        "POST" => HttpMethod::Post,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(rule: &Rule) -> Operation {
    let mut operation = OperationBuilder::new()
        .summary(Some(rule.says))
        .operation_id(Some(operation_id(rule)))
        .description(Some(need_text(rule.need)))
        .request_body(request_body(rule.body))
        .response(reply_status(rule.reply), reply(rule.reply))
        .response("default", problem());
    for parameter in parameters(rule) {
        operation = operation.parameter(parameter);
    }
    if rule.need != Need::Nothing {
        operation = operation.security(SecurityRequirement::new(TOKEN_SCHEME, [""; 0]));
    }
    operation.build()
}

/// `GET /v1/operations/{id}` is `get_operations_id`.
fn operation_id(rule: &Rule) -> String {
    let words = rule.path.trim_start_matches("/v1").split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|w| !w.is_empty()).collect();
    let noun = if words.is_empty() { "root".to_owned() } else { words.join("_") };
    format!("{}_{noun}", rule.method.to_ascii_lowercase())
}

fn need_text(need: Need) -> String {
    let Need::Token(role, scope) = need else { return "Needs no token.".into() };
    let held = match scope {
        Scope::Path | Scope::Target | Scope::Row => "a token that is limited to applications is held to them",
        Scope::Shared => "any such token",
        Scope::Own => return "Needs a token; any is good.".into(),
        Scope::Whole => "not with a token that is limited to applications",
    };
    format!("Needs a token with the role {}; {held}.", role_text(role))
}

fn parameters(rule: &Rule) -> impl Iterator<Item = Parameter> {
    let in_path = rule.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let path = in_path.map(|name| {
        let form = ObjectBuilder::new().schema_type(Type::String).pattern(form_of(rule.path, name)).build();
        parameter(name, ParameterIn::Path, Required::True).schema(Some(form)).build()
    });
    let query = rule.query.iter().map(|(name, help)| {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = parameter(name, ParameterIn::Query, Required::False).schema(Some(text));
        parameter.description(Some(*help)).build()
    });
    path.chain(query)
}

/// The form of a parameter of a path, as a regular expression (ECMA-262).
fn form_of(path: &str, name: &str) -> Option<&'static str> {
    Some(match name {
        "id" => "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "digest" => "^[0-9a-f]{64}$",
        "release" | "package" => "^[a-z]([a-z0-9-]{0,37}[a-z0-9])?@[A-Za-z0-9.+_-]{1,64}$",
        "name" if path.contains("/secrets/") => "^[A-Za-z][A-Za-z0-9_]{0,127}$",
        "host" => "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?([.][a-z]{2,20}){1,2}$",
        "app" | "name" | "user" | "team" => "^[a-z]([a-z0-9-]{0,37}[a-z0-9])?$",
        _ => return None,
    })
}

fn parameter(name: &str, place: ParameterIn, required: Required) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(place).required(required)
}

fn request_body(body: Body) -> Option<utoipa::openapi::request_body::RequestBody> {
    let (kind, content) = match body {
        Body::Empty => return None,
        Body::Json(name) | Body::Tree(name) => ("application/json", Content::new(Some(named(name)))),
        Body::Chunk | Body::Secret | Body::Archive => {
            ("application/octet-stream", Content::new(Some(bytes())))
        }
    };
    // A secret may be empty.
    let required = if body == Body::Secret { Required::False } else { Required::True };
    Some(RequestBodyBuilder::new().content(kind, content).required(Some(required)).build())
}

fn reply_status(reply: Reply) -> &'static str {
    match reply {
        Reply::Nothing => "204",
        Reply::Socket => "101",
        Reply::Elsewhere => "303",
        _ => "200",
    }
}

fn reply(reply: Reply) -> Response {
    let told = ResponseBuilder::new().description("It is so.");
    let told = match reply {
        Reply::Json(name) => told.content("application/json", Content::new(Some(named(name)))),
        Reply::List(name) => {
            let list = ArrayBuilder::new().items(Ref::from_schema_name(name)).build();
            told.content("application/json", Content::new(Some(RefOr::T(Schema::Array(list)))))
        }
        Reply::Bytes => told.content("application/octet-stream", Content::new(Some(bytes()))),
        Reply::Text(kind) => told.content(kind, Content::new(Some(bytes()))),
        Reply::Nothing | Reply::Socket | Reply::Elsewhere => told,
    };
    told.build()
}

fn problem() -> Response {
    let content = Content::new(Some(named("Problem")));
    ResponseBuilder::new().description("It was refused or failed.").content(PROBLEM_TYPE, content).build()
}

fn named(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

fn bytes() -> RefOr<Schema> {
    RefOr::T(ObjectBuilder::new().schema_type(Type::String).build().into())
}

macro_rules! schemas {
    ($($kind:ty),* $(,)?) => {{
        let mut found = Vec::new();
        $(
            <$kind>::schemas(&mut found);
            found.push((<$kind>::name().into_owned(), <$kind as utoipa::PartialSchema>::schema()));
        )*
        found
    }};
}

fn components() -> Components {
    let wire = schemas![
        api::Status,
        api::AppSummary,
        api::Accepted,
        api::VerbRequest,
        api::HistoryLine,
        api::Explanation,
        api::NodeView,
        api::UsageView,
        api::HostView,
        api::HostRequest,
        api::ProviderRequest,
        api::PoolRequest,
        api::AccountsView,
        api::AccountView,
        api::HostCost,
        lace_wire::stream::Volume,
        api::ReleaseUpload,
        api::PackageUpload,
        api::KeyRequest,
        api::PushView,
        api::JobRequest,
        api::NodeScripts,
        api::NodeFigures,
        api::FigureView,
        api::ScriptState,
        api::StreamOpen,
        api::BeamNode,
        api::AdoptRequest,
        api::BeamCallRequest,
        lace_wire::beam::BeamAnswer,
        api::TokenRequest,
        api::TokenMade,
        api::TokenInfo,
        api::LoginRequest,
        api::ServerInfo,
        api::AuditLine,
        api::AuditVerdict,
        api::SessionInfo,
        api::UserInfo,
        api::UserRequest,
        api::UserMade,
        api::SignInRequest,
        api::PasswordRequest,
        api::TeamInfo,
        api::TeamRequest,
        api::GrantLine,
        api::UsageHistory,
        api::UsagePoint,
        lace_wire::route::RouteView,
        lace_wire::authority::AuthorityRequest,
        lace_wire::authority::AuthorityView,
        lace_wire::flow::FlowView,
        lace_wire::flow::FlowOf,
    ];
    with_nouns(wire)
}

/// Types of the wire, and what travels as it is.
fn with_nouns(wire: Vec<(String, RefOr<Schema>)>) -> Components {
    let bearer =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("lace_<id>_<secret>").build();
    let mut components = ComponentsBuilder::new().security_scheme(TOKEN_SCHEME, SecurityScheme::Http(bearer));
    for (name, schema) in wire {
        components = components.schema(name, schema);
    }
    for (name, help) in NOUNS {
        let open = ObjectBuilder::new()
            .description(Some(*help))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)));
        components = components.schema(*name, open.build());
    }
    let digest = ObjectBuilder::new().schema_type(Type::String).pattern(form_of("", "digest"));
    let digests = ArrayBuilder::new().items(digest).description(Some("Digests, as BLAKE3 gives them."));
    components.schema("Digests", digests).schema("Problem", problem_schema()).build()
}

fn problem_schema() -> Schema {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let codes = lace_model::Code::ALL.iter().filter_map(|c| serde_json::to_value(c).ok());
    ObjectBuilder::new()
        .description(Some("What happened, to which thing, what to do next (after RFC 9457)."))
        .property("code", text().enum_values(Some(codes)))
        .property("message", text())
        .property("hint", text())
        .property("details", ArrayBuilder::new().items(text()))
        .required("code")
        .required("message")
        .build()
        .into()
}
