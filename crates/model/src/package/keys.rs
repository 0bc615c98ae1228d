//! Every key of a `package.toml`, once: its shape, its help, an example and what holds without it.

use super::setting::SettingKind;
use crate::manifest::COUNT_MAX;
use crate::manifest::format::Format;
use crate::manifest::shape::{Form, Known, Shape, form, key};

const TEXT: Shape = Shape::Text(Format::Any);
const SPAN: Shape = Shape::Text(Format::Span);
const NAME: Shape = Shape::Text(Format::Name);
const SIZE: Shape = Shape::Amount(Format::Size);
const INSIDE: Shape = Shape::Text(Format::Inside);
const NAMES: Shape = Shape::List(&NAME);

/// The file as a whole.
pub(super) static ROOT: Shape = Shape::Table(&form(
    "package-file",
    &[
        key("package", Shape::Table(&PACKAGE), r#"{ name = "redis", version = "1" }"#, "what it is")
            .required(),
        key(
            "role",
            Shape::Map(Format::Name, &Shape::Table(&ROLE)),
            "{ primary = { max = 1 }, replica = { count = 0 } }",
            "roles by name; each becomes a family",
        )
        .required(),
        key(
            "setting",
            Shape::Map(Format::Variable, &Shape::Table(&SETTING)),
            r#"{ maxmemory = { type = "size", default = "64MiB" } }"#,
            "settings by name: `settings.NAME` in templates, LACE_SETTING_NAME in scripts",
        ),
        key(
            "port",
            Shape::Map(Format::Name, &Shape::Table(&PORT)),
            "{ redis = { number = 6379 } }",
            "ports that its nodes listen on: `ports.NAME` in templates, LACE_PORT_NAME in scripts",
        ),
        key(
            "provides",
            Shape::Map(Format::Name, &Shape::Table(&PROVIDES)),
            r#"{ redis = { port = "redis" } }"#,
            "interfaces for other services, by name",
        ),
        key(
            "consumes",
            Shape::Map(Format::Variable, &Shape::Table(&CONSUMES)),
            r#"{ db = { interface = "mysql" } }"#,
            "interfaces of other services that it uses, by the name of the link",
        ),
        key(
            "template",
            Shape::Map(Format::Path, &Shape::Either(&[INSIDE, Shape::Table(&TEMPLATE)])),
            r#"{ "/etc/redis.conf" = "templates/redis.conf.j2" }"#,
            "files of the package that are rendered into its nodes, by the path there",
        ),
        key("script", Shape::Table(&SCRIPTS), r#"{ start = "scripts/start.sh" }"#, "scripts by verb")
            .required(),
        key(
            "action",
            Shape::Map(Format::Name, &Shape::Table(&ACTION)),
            r#"{ flush = { script = "scripts/flush.sh" } }"#,
            "what people may ask of it beside the verbs, by name: lace service action",
        ),
        key(
            "volume",
            Shape::Map(Format::Name, &Shape::Table(&VOLUME)),
            r#"{ data = { size = "1GiB", at = "/var/lib/redis" } }"#,
            "storage of each node, by name",
        ),
        key(
            "reload",
            Shape::Table(&RELOAD),
            r#"{ signal = "HUP" }"#,
            "how its process takes its templates anew when what they say has changed, instead of the script `notify`",
        ),
        key("check", Shape::Table(&CHECK), r#"{ http = "http/up" }"#, "is a node ready?")
            .or("the script `check`, where there is one"),
        key("live", Shape::Table(&CHECK), r#"{ tcp = "http" }"#, "is a node alive? If not it is restarted"),
        key(
            "metrics",
            Shape::Table(&METRICS),
            r#"{ script = "scripts/metrics.sh" }"#,
            "where its figures are read, every 15 s: lace metrics, and /metrics for Prometheus",
        ),
        key(
            "metric",
            Shape::Map(Format::Variable, &Shape::Table(&METRIC)),
            r#"{ clients = { help = "open connections" } }"#,
            "its figures by name",
        ),
        key("stop", Shape::Table(&STOP), r#"{ signal = "QUIT" }"#, "how its process stops"),
        key(
            "image",
            Shape::Table(&IMAGE),
            r#"{ packages = ["redis-server"], programs = ["redis-server"] }"#,
            "what has to be installed",
        ),
    ],
));

static PACKAGE: Form = form(
    "package",
    &[
        key("name", NAME, r#""redis""#, "its name").required(),
        key("version", Shape::Text(Format::Version), r#""1""#, "its version").required(),
        key("summary", TEXT, r#""keeps values by keys""#, "what it is, in a line"),
        key(
            "state",
            Shape::OneOf(&["replaceable", "single-writer", "pinned"]),
            r#""replaceable""#,
            "what a failed host means for its nodes",
        )
        .or("replaceable"),
        key(
            "release",
            Shape::OneOf(&["none", "optional", "required"]),
            r#""required""#,
            "does it run a release of the user's? It lies at /app",
        )
        .or("none"),
        key(
            "change_if_all",
            INSIDE,
            r#""scripts/idle.sh""#,
            "another release or setting is refused unless this file ends with 0 on all of its nodes",
        ),
    ],
);

static ROLE: Form = form(
    "role",
    &[
        key("help", TEXT, r#""answers writes""#, "what it does"),
        key("count", Shape::Whole(0, COUNT_MAX as i64), "1", "nodes at first").or("1"),
        key("min", Shape::Whole(0, COUNT_MAX as i64), "1", "never fewer nodes").or("0"),
        key("max", Shape::Whole(1, COUNT_MAX as i64), "1", "never more nodes").or("10000"),
        key(
            "shares",
            NAMES,
            r#"["web"]"#,
            "roles whose work a node of this one does too as long as they have no nodes: its scripts see to it, by `roles`",
        )
        .or("[]"),
        key("cpu", Shape::Amount(Format::Cpu), "0.5", "processors of each node").or("0.25"),
        key("memory", SIZE, r#""256MiB""#, "memory of each node").or("128MiB"),
        key("disk", SIZE, r#""2GiB""#, "disk of each node, volumes aside").or("1GiB"),
        key("pids", Shape::Whole(1, 4_000_000), "512", "processes and threads of each node").or("1024"),
    ],
);

/// What a setting and a parameter have alike.
const VALUE: [Known; 6] = [
    key("type", Shape::OneOf(SettingKind::WORDS), r#""size""#, "what its value is").or("text"),
    key("default", Shape::Scalar, r#""64MiB""#, "its value where nobody says one; without it somebody must"),
    key("help", TEXT, r#""most memory that it takes""#, "what it is for"),
    key("min", Shape::Scalar, r#""1MiB""#, "least value").or("none"),
    key("max", Shape::Scalar, r#""64GiB""#, "largest value; of a text: most characters").or("none"),
    key("choices", Shape::List(&TEXT), r#"["on", "off"]"#, "the words of a choice"),
];

static SETTING: Form = form("setting", &VALUE);
static PARAMETER: Form = form("parameter", &PARAMETER_KEYS);
static PARAMETER_KEYS: [Known; 7] = {
    let [kind, default, help, min, max, choices] = VALUE;
    let secret =
        key("secret", Shape::Flag, "true", "its value is kept sealed, and only while the action runs");
    [kind, default, help, min, max, choices, secret.or("false")]
};

static PORT: Form = form(
    "port",
    &[
        key("number", Shape::Whole(1, 65_535), "6379", "its number").required(),
        key("protocol", Shape::OneOf(&["tcp", "udp"]), r#""tcp""#, "transport").or("tcp"),
        key("setting", Shape::Text(Format::Variable), r#""port""#, "the setting that says another number"),
        key("roles", NAMES, r#"["primary"]"#, "roles that listen on it").or("all"),
        key("help", TEXT, r#""clients""#, "what it is for"),
    ],
);

static PROVIDES: Form = form(
    "provides",
    &[
        key("port", NAME, r#""redis""#, "the port that answers").required(),
        key("roles", NAMES, r#"["primary"]"#, "roles that answer").or("those of the port"),
        key(
            "password",
            Shape::Flag,
            "true",
            "a password is made for the service: `provides.NAME.password`, LACE_PASSWORD_NAME in scripts",
        )
        .or("false"),
        key("help", TEXT, r#""the protocol of Redis""#, "what it is"),
    ],
);

static CONSUMES: Form = form(
    "consumes",
    &[
        key("interface", NAME, r#""mysql""#, "which interface").required(),
        key("required", Shape::Flag, "true", "it is nothing without it").or("false"),
        key("help", TEXT, r#""where accounts are kept""#, "what for"),
    ],
);

static TEMPLATE: Form = form(
    "template",
    &[
        key("from", INSIDE, r#""templates/redis.conf.j2""#, "the file of the package").required(),
        key("mode", Shape::Text(Format::Mode), r#""0600""#, "permission bits").or("0644"),
        key("roles", NAMES, r#"["primary"]"#, "roles that have it").or("all"),
    ],
);

const SCRIPT_OR_FILE: Shape = Shape::Either(&[INSIDE, Shape::Table(&SCRIPT)]);

const fn script(name: &'static str, help: &'static str) -> Known {
    key(name, SCRIPT_OR_FILE, r#""scripts/run.sh""#, help)
}

static SCRIPTS: Form = form(
    "scripts",
    &[
        script(
            "install",
            "before each start with isolation `host-root`: puts into the machine what is missing",
        ),
        script("configure", "before each start, after the templates"),
        script("init", "before the first start of a node"),
        script("start", "becomes the process, in the foreground").required(),
        script("stop", "stops the process, before the signal"),
        script("notify", "something changed: templates, members, links or settings"),
        script("check", "ends with 0 where the node is ready"),
        script(
            "drain",
            "before a node goes for good, while its process still runs: nothing shall be lost with it",
        ),
        script(
            "backup",
            "writes a copy of the service's data to its output, on the first node of its roles: lace service backup",
        ),
        script("restore", "takes such a copy from its input, instead of what is there: lace service restore"),
        script(
            "upgrade",
            "before the start of a node whose volumes another version (LACE_FROM_VERSION) had: to this one's data",
        ),
    ],
);

static SCRIPT: Form = form(
    "script",
    &[
        key("file", INSIDE, r#""scripts/init.sh""#, "the file of the package").required(),
        key("timeout", SPAN, r#""5m""#, "it is killed after that").or("60s"),
        key("roles", NAMES, r#"["primary"]"#, "roles whose nodes are asked (`backup`, `restore`)").or("all"),
    ],
);

static ACTION: Form = form(
    "action",
    &[
        key("script", INSIDE, r#""scripts/flush.sh""#, "the file of the package").required(),
        key("help", TEXT, r#""forgets all keys""#, "what it does"),
        key("timeout", SPAN, r#""5m""#, "it is killed after that").or("60s"),
        key("roles", NAMES, r#"["primary"]"#, "roles whose nodes can do it").or("all"),
        key("once", Shape::Flag, "true", "on one node that can, instead of on each").or("false"),
        key(
            "if_all",
            INSIDE,
            r#""scripts/idle.sh""#,
            "it begins nowhere unless this file ends with 0 on all of its nodes",
        ),
        key(
            "if_any",
            INSIDE,
            r#""scripts/busy.sh""#,
            "it begins nowhere unless this file ends with 0 on one of its nodes",
        ),
        key(
            "parameter",
            Shape::Map(Format::Variable, &Shape::Table(&PARAMETER)),
            r#"{ database = { type = "whole", default = 0 } }"#,
            "what can be said to it, by name: LACE_PARAMETER_NAME in the script",
        ),
    ],
);

static VOLUME: Form = form(
    "package-volume",
    &[
        key("size", SIZE, r#""1GiB""#, "its size").required(),
        key("at", Shape::Text(Format::Path), r#""/var/lib/redis""#, "where it is in the node").required(),
    ],
);

static CHECK: Form = Form {
    name: "package-check",
    keys: &[
        key("http", Shape::Text(Format::NamedDoor), r#""http/up""#, "PORT/PATH: GET answers 200 to 399"),
        key("tcp", NAME, r#""redis""#, "PORT: a connection opens"),
        key("script", INSIDE, r#""scripts/alive.sh""#, "ends with 0"),
        key("interval", SPAN, r#""2s""#, "between two probes").or("2s"),
        key("timeout", SPAN, r#""1s""#, "for one probe").or("1s"),
        key("failures", Shape::Whole(1, 1000), "3", "so many in a row count").or("3"),
        key("grace", SPAN, r#""20s""#, "after a start, failures do not count").or("20s"),
    ],
    one_of: &["http", "tcp", "script"],
    layered: false,
};

static METRICS: Form = Form {
    name: "metrics",
    keys: &[
        key(
            "http",
            Shape::Text(Format::NamedDoor),
            r#""http/metrics""#,
            "PORT/PATH that answers Prometheus text",
        ),
        key("script", INSIDE, r#""scripts/metrics.sh""#, "prints lines of NAME VALUE"),
    ],
    one_of: &["http", "script"],
    layered: false,
};

static METRIC: Form = form(
    "metric",
    &[
        key("help", TEXT, r#""open connections""#, "what it counts").required(),
        key("unit", TEXT, r#""bytes""#, "its unit"),
        key("kind", Shape::OneOf(&["gauge", "counter"]), r#""gauge""#, "it goes up and down, or only grows")
            .or("gauge"),
    ],
);

/// Signals that may stop a node.
const SIGNALS: &[&str] = &["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "KILL", "PWR"];

static STOP: Form = form(
    "package-stop",
    &[
        key("signal", Shape::OneOf(SIGNALS), r#""TERM""#, "the signal").or("TERM"),
        key("timeout", SPAN, r#""30s""#, "after that everything in the node is killed").or("30s"),
    ],
);

static RELOAD: Form = form(
    "reload",
    &[key("signal", Shape::OneOf(&["HUP", "USR1", "USR2", "WINCH"]), r#""HUP""#, "the signal").required()],
);

static IMAGE: Form = form(
    "image",
    &[
        key(
            "packages",
            Shape::List(&Shape::Text(Format::DebianPackage)),
            r#"["redis-server"]"#,
            "Debian packages: what a host has not is laid out there once, for all of its nodes",
        ),
        key(
            "programs",
            Shape::List(&Shape::Text(Format::Inside)),
            r#"["redis-server"]"#,
            "programs that they bring",
        ),
    ],
);
