//! How values are said: sizes, ages, states. A state is a word and a shape, never a colour alone.

use askama::FastWritable;
use askama::filters::HtmlSafe;
use jiff::Timestamp;
use lace_model::host::Host;
use lace_model::job::JobState;
use lace_model::node::{AlarmLevel, NodeAlarm, NodePhase, NodeStatus};
use lace_model::operation::OperationState;
use lace_model::task::TaskState;
use lace_model::token::Role;
use lace_model::{ByteSize, FamilyPath, Millis, NodePath};
use lace_wire::api::{Health, HostView};
use std::fmt;

/// Text that is HTML already; made in this file and in drawings only, of numbers, fixed words and escaped text.
pub struct Markup(pub String);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl HtmlSafe for Markup {}
impl FastWritable for Markup {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(dest.write_str(&self.0)?)
    }
}

/// Text inside HTML.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// How something stands: the class that gives shape and colour, and the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Bad,
    Poor,
    Moving,
    Good,
    Off,
    Said,
}

impl State {
    /// The class in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Poor => "poor",
            Self::Moving => "moving",
            Self::Good => "good",
            Self::Off => "off",
            Self::Said => "said",
        }
    }
    /// The shape, on a 12 x 12 grid: whoever sees no colours sees these.
    pub fn shape(self) -> &'static str {
        match self {
            Self::Bad => "M2.5 2.5l7 7M9.5 2.5l-7 7",
            Self::Poor => "M6 1.8 11 10.5H1z",
            Self::Moving => "M6 1.5a4.5 4.5 0 1 0 4.5 4.5",
            Self::Good => "M6 1.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z",
            Self::Off => "M2 2h8v8H2z",
            Self::Said => "M3.5 6h5",
        }
    }
    /// Shape and word.
    pub fn mark(self, word: &str) -> Markup {
        Markup(format!(
            "<span class=\"state {}\"><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><path d=\"{}\"/></svg>{}</span>",
            self.class(),
            self.shape(),
            escaped(word)
        ))
    }
}

/// A health as a state.
pub fn of_health(health: Health) -> State {
    match health {
        Health::Healthy => State::Good,
        Health::Progressing => State::Moving,
        Health::Degraded => State::Poor,
        Health::Failed => State::Bad,
        Health::Stopped => State::Off,
    }
}

/// A health in a word.
pub fn health_word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Progressing => "progressing",
        Health::Degraded => "degraded",
        Health::Failed => "failed",
        Health::Stopped => "stopped",
    }
}

/// A health as shape and word.
pub fn health(health: &Health) -> Markup {
    of_health(*health).mark(health_word(*health))
}

/// A node as a state and a word.
pub fn of_node(node: &NodeStatus, connected: bool) -> (State, &'static str) {
    if !connected && node.phase != NodePhase::Gone {
        return (State::Poor, "host silent");
    }
    match node.phase {
        NodePhase::Running if node.ready => (State::Good, "ready"),
        NodePhase::Running => (State::Moving, "not ready"),
        NodePhase::Preparing => (State::Moving, "preparing"),
        NodePhase::Starting => (State::Moving, "starting"),
        NodePhase::Stopping => (State::Moving, "stopping"),
        NodePhase::Backoff => (State::Bad, "waits to restart"),
        NodePhase::Failed => (State::Bad, "failed"),
        NodePhase::Stopped => (State::Off, "stopped"),
        NodePhase::Gone => (State::Off, "gone"),
    }
}

/// A host as a state and a word.
pub fn of_host(view: &HostView) -> (State, &'static str) {
    let Host { draining, removing, .. } = &view.host;
    match (view.liveness.connected, removing, draining) {
        (_, true, _) => (State::Moving, "being removed"),
        (false, ..) => (State::Bad, "silent"),
        (_, _, true) => (State::Moving, "draining"),
        _ if view.liveness.disk_used_permille >= 900 => (State::Poor, "disk full"),
        _ => (State::Good, "connected"),
    }
}

/// An operation as a state and a word.
pub fn of_operation(state: OperationState) -> (State, &'static str) {
    match state {
        OperationState::Running => (State::Moving, "running"),
        OperationState::Done => (State::Good, "done"),
        OperationState::Failed => (State::Bad, "failed"),
        OperationState::Cancelled => (State::Off, "cancelled"),
    }
}

/// A job as a state and a word.
pub fn of_job(state: JobState) -> (State, &'static str) {
    match state {
        JobState::Queued => (State::Moving, "queued"),
        JobState::Running => (State::Moving, "running"),
        JobState::Done => (State::Good, "done"),
        JobState::Failed => (State::Bad, "failed"),
        JobState::Cancelled => (State::Off, "cancelled"),
    }
}

/// A verb on a node as a state and a word.
pub fn of_task(state: TaskState) -> (State, &'static str) {
    match state {
        TaskState::Failed => (State::Bad, "failed"),
        TaskState::Unknown => (State::Poor, "nobody knows"),
        TaskState::Expired => (State::Poor, "not begun in time"),
        TaskState::Queued => (State::Moving, "on its way"),
        TaskState::Sent => (State::Moving, "running"),
        TaskState::Done => (State::Good, "done"),
    }
}

/// How near a limit is, as shape and word.
pub fn alarm(alarm: &NodeAlarm) -> Markup {
    match alarm.level {
        AlarmLevel::Warning => State::Poor.mark("warning"),
        AlarmLevel::Critical => State::Bad.mark("critical"),
    }
}

/// A size.
pub fn bytes(bytes: &u64) -> String {
    ByteSize(*bytes).human()
}

/// Processors from thousandths.
pub fn cpu(millis: &u32) -> String {
    format!("{}", f64::from(*millis) / 1000.0)
}

/// A length of time in its largest unit.
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        3_600_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// How long something took.
pub fn took(from: &Millis, to: &Millis) -> String {
    span(to.saturating_sub(*from))
}

/// How long ago something was, in words that the browser keeps true.
pub fn ago(now: &Millis, at: &Millis) -> Markup {
    let text = match (now.saturating_sub(*at), at) {
        (_, 0) => "never".to_owned(),
        (0..2_000, _) => "just now".into(),
        (past @ 2_000..60_000, _) => format!("{} s ago", past / 1000),
        (past, _) => format!("{} ago", span(past)),
    };
    let exact = clock(at);
    Markup(format!("<time datetime=\"{exact}\" title=\"{exact}\" data-at=\"{at}\">{text}</time>"))
}

/// The moment in UTC.
pub fn clock(at: &Millis) -> String {
    let seconds = i64::try_from(at / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| at.to_string(), |t| t.to_string())
}

/// Words as they are typed, quoted where one has blanks.
pub fn command(words: &[String]) -> String {
    let word = |w: &String| {
        if w.is_empty() || w.contains(char::is_whitespace) { format!("{w:?}") } else { w.clone() }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The page of a family.
pub fn family_page(path: &FamilyPath) -> String {
    format!("/apps/{path}")
}

/// The page of a node.
pub fn node_page(path: &NodePath) -> String {
    format!("/apps/{path}")
}

/// A family without a part that says nothing.
pub fn family_short(path: &FamilyPath) -> String {
    if path.family == path.service {
        path.service.to_string()
    } else {
        format!("{}/{}", path.service, path.family)
    }
}

/// The page of what an event or an operation is about, where there is one.
pub fn subject_page(subject: &str) -> Option<String> {
    let parts: Vec<&str> = subject.split('/').collect();
    match parts.as_slice() {
        ["host", name] => Some(format!("/hosts/{name}")),
        ["release", _] => Some("/releases".into()),
        ["provider", name] => Some(format!("/providers#provider-{name}")),
        ["pool", name] => Some(format!("/providers#pool-{name}")),
        ["package", key] => Some(format!("/packages#package-{key}")),
        ["token" | "operation" | "controller" | "authority", ..] => None,
        [_, "secret", _] => Some("/secrets".into()),
        [_, "job", id] => Some(format!("/jobs/{id}")),
        [_, "certificate", _] => Some("/routes".into()),
        [app] => Some(format!("/apps/{app}")),
        [app, service] => Some(format!("/apps/{app}/{service}")),
        [app, service, index] if is_number(index) => Some(format!("/apps/{app}/{service}/{service}/{index}")),
        [_, _, _] => Some(format!("/apps/{subject}")),
        [_, _, _, index] if is_number(index) => Some(format!("/apps/{subject}")),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// What something is about, as a link where it has a page.
pub fn subject(text: &str) -> Markup {
    let shown = escaped(&shortened(text));
    Markup(match subject_page(text) {
        Some(page) => format!("<a href=\"{}\">{shown}</a>", escaped(&page)),
        None => shown,
    })
}

/// An id that stands in a subject is shown by its end: ids made at one time begin alike.
fn shortened(text: &str) -> String {
    match text.rsplit_once('-') {
        Some((head, end)) if head.len() >= 23 && end.len() == 12 && is_hex(end) => {
            let kept = head.len() - 23;
            format!("{}…{}", &head[..kept], &end[4..])
        }
        _ => text.to_owned(),
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The state that an event's sort tells of.
pub fn of_event(kind: &str) -> State {
    match kind.rsplit('.').next().unwrap_or_default() {
        "failed" | "exited" | "away" | "backoff" | "reverting" => State::Bad,
        "unready" | "reverted" | "skipped" => State::Poor,
        "ready" | "done" | "connected" | "running" => State::Good,
        "gone" | "deleted" | "removed" | "cancelled" => State::Off,
        _ => State::Said,
    }
}

/// A role in a word.
pub fn role(role: &Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Deployer => "deployer",
        Role::Admin => "admin",
    }
}

/// A share of a whole in percent.
pub fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or_default().min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_lead_to_their_pages() {
        let page = |text: &str| subject_page(text).unwrap_or_default();
        assert_eq!(page("shop/game/2"), "/apps/shop/game/game/2");
        assert_eq!(page("shop/web/backend/2"), "/apps/shop/web/backend/2");
        assert_eq!(page("shop/web/backend"), "/apps/shop/web/backend");
        assert_eq!(page("host/alpha"), "/hosts/alpha");
        assert_eq!(page("shop/certificate/www.example.com"), "/routes");
        assert_eq!(page("provider/aws"), "/providers#provider-aws");
        assert_eq!(page("pool/small"), "/providers#pool-small");
        assert_eq!(page("package/redis@1"), "/packages#package-redis@1");
        for without in ["token/x", "authority", "controller/x"] {
            assert_eq!(page(without), "", "{without}");
        }
    }

    #[test]
    fn ids_are_shown_by_their_end() {
        assert_eq!(shortened("shop/job/01a201bb-fdab-748d-95ce-fea4a408ed8e"), "shop/job/…a408ed8e");
        assert_eq!(shortened("shop/my-web/1"), "shop/my-web/1");
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let link = subject("<b>\"x'").0;
        assert_eq!(link, "<a href=\"/apps/&lt;b&gt;&quot;x&#39;\">&lt;b&gt;&quot;x&#39;</a>");
        assert!(!State::Bad.mark("<i>").0.contains("<i>"));
    }
}
