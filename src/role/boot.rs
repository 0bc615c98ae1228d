//! What a machine boots with to become a host: a script of the shell that fetches our program, checks it, and joins.

use lace_model::host::JoinTicket;
use lace_providers::ssh::{STATE, UNIT};
use std::fmt::Write;

/// Where the program is fetched from, where the machine's image has none.
pub enum Source {
    /// The controller that the ticket names, on its agents' listener.
    Controller,
    /// An address that begins with `https://` and may stand between quotes.
    Url(String),
}

/// How often each step is tried, five seconds apart: not longer than a machine may take before it is given up.
const TRIES: u32 = 100;

/// Stands between the parts of what is written to files.
const CURL: &str = "\
\tif command -v curl >/dev/null 2>&1; then
\t\tcurl --fail --silent --show-error --http1.1 --no-alpn --noproxy '*' --connect-timeout 20 --max-time 900 \\
\t\t\t--cacert \"$dir/ca\" --header \"@$dir/header\" --connect-to \"::$at\" -o \"$dir/lace\" \"https://$name$path\"
\telse
\t\tpython3 -I \"$dir/fetch\" \"$dir\" \"$at\" \"$name\" \"$path\"
\tfi
";

/// The same where there is no curl: whatever runs cloud-init has Python.
const PYTHON: &str = "\
import http.client, shutil, socket, ssl, sys
dir, at, name, path = sys.argv[1:]
host, port = at.rsplit(':', 1)
tls = ssl.create_default_context(cafile=dir + '/ca')
class Controller(http.client.HTTPSConnection):
    def connect(self):
        plain = socket.create_connection((host.strip('[]'), int(port)), 20)
        plain.settimeout(300)
        self.sock = tls.wrap_socket(plain, server_hostname=name)
key, value = open(dir + '/header').read().strip().split(': ', 1)
there = Controller(name)
there.request('GET', path, headers={key: value})
answer = there.getresponse()
if answer.status != 200:
    sys.exit('the controller says %d: %s' % (answer.status, answer.read(1000).decode(errors='replace')))
with open(dir + '/lace', 'wb') as file:
    shutil.copyfileobj(answer, file)
";

/// What a machine boots with; the same for the same words. The ticket comes on stdin of what reads it, never as an argument.
///
/// # Errors
/// Where the ticket names no controller, or cannot be written.
pub fn script(ticket: &JoinTicket, source: &Source, digest: &str) -> Result<String, String> {
    let mut text = String::from(
        "#!/bin/sh\n# Makes this machine a host of Lace.\nset -eu\n\
         export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root\n\
         dir=$(mktemp -d)\ntrap 'rm -rf \"$dir\"' EXIT\n",
    );
    // In a condition, `set -e` ends nothing.
    let _ = write!(
        text,
        "again() {{\n\tleft={TRIES}\n\tuntil \"$1\"; do\n\t\tleft=$((left - 1))\n\
         \t\t[ $left -gt 0 ] || exit 1\n\t\tsleep 5\n\tdone\n}}\n"
    );
    text.push_str("if ! command -v lace >/dev/null 2>&1; then\n");
    let fetch = match source {
        Source::Controller => of_controller(&mut text, ticket, digest)?,
        Source::Url(url) => {
            format!(
                "\tcurl --fail --silent --show-error --location --proto =https --connect-timeout 20 --max-time 900 \
                 -o \"$dir/lace\" '{url}'\n"
            )
        }
    };
    let _ = write!(
        text,
        "fetch() {{\n{fetch}}}\n\
         again fetch\n\
         echo '{digest}  '\"$dir/lace\" | sha256sum -c -\n\
         mkdir -p /usr/local/bin\nchmod 0755 \"$dir/lace\"\nmv \"$dir/lace\" /usr/local/bin/lace\nfi\n"
    );
    let ticket = serde_json::to_string(ticket).map_err(|error| error.to_string())?;
    let _ = write!(
        text,
        "cat >\"$dir/ticket\" <<'TICKET'\n{ticket}\nTICKET\n\
         join() {{\n\tlace up --detach --join - <\"$dir/ticket\"\n}}\n\
         again join\n"
    );
    // A boot runs user data once only. Where systemd does not take it over, what joined goes on as it is until then.
    let _ = write!(
        text,
        "keep() {{\n{UNIT}\n}}\n\
         if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then\n\
         \tkeep \"$(dirname \"$(command -v lace)\")\" '{STATE}' || lace up --detach\nfi\n"
    );
    Ok(text)
}

/// Programs of one kind of processor run on no other.
fn of_controller(text: &mut String, ticket: &JoinTicket, digest: &str) -> Result<String, String> {
    let at = ticket.controllers.first().ok_or("the ticket names no controller")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:[]-".contains(c);
    if !at.chars().all(plain) || !ticket.token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(format!("{at:?} is no address"));
    }
    let (name, kind) = (lace_wire::link::CONTROLLER_NAME, std::env::consts::ARCH);
    let _ = write!(
        text,
        "[ \"$(uname -m)\" = {kind} ] || {{ echo 'the controller has a program for {kind} only: give the pool agent=https://...' >&2; \
         exit 1; }}\n\
         at='{at}' name={name} path=/program/{digest}\n\
         cat >\"$dir/ca\" <<'CA'\n{}\nCA\n\
         cat >\"$dir/header\" <<'HEADER'\nauthorization: Bearer {}\nHEADER\n\
         cat >\"$dir/fetch\" <<'FETCH'\n{PYTHON}FETCH\n",
        ticket.ca.trim_end(),
        ticket.token,
    );
    Ok(CURL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn ticket() -> JoinTicket {
        JoinTicket {
            controllers: vec!["192.0.2.1:7441".into()],
            ca: "-----BEGIN\nPEM\n".into(),
            token: "lace_token".into(),
            name: None,
        }
    }

    #[test]
    fn it_is_a_script_that_a_shell_reads() {
        for source in [Source::Controller, Source::Url("https://blobs.example.com/lace".into())] {
            let text = script(&ticket(), &source, "ab12").expect("made");
            let mut shell = Command::new("sh").args(["-n"]).stdin(Stdio::piped()).spawn().expect("a shell");
            shell.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
            assert!(shell.wait().expect("read").success(), "{text}");
            assert!(text.contains("echo 'ab12  '\"$dir/lace\" | sha256sum -c -\n"), "{text}");
            assert!(text.contains("\nTICKET\n") && text.len() < 4_096, "{}", text.len());
        }
    }

    #[test]
    fn the_controller_is_asked_by_its_name_at_its_address_and_the_token_is_no_argument() {
        let text = script(&ticket(), &Source::Controller, "ab12").expect("made");
        assert!(text.contains("at='192.0.2.1:7441' name=controller.lace.internal path=/program/ab12\n"));
        assert!(text.contains("<<'HEADER'\nauthorization: Bearer lace_token\nHEADER\n"));
        let joined = text.find("\nagain join\n").expect("it joins");
        let kept = text.find("/lace\" up --unit --state").expect("it comes up at every boot");
        let once = text.find("\tkeep \"$(dirname").expect("where systemd runs");
        assert!(
            joined < kept
                && kept < once
                && text[once..].contains("'/var/lib/lace' || lace up --detach\nfi\n")
        );
        let arguments = text.lines().filter(|line| line.contains("curl") || line.contains("python3"));
        assert!(arguments.into_iter().all(|line| !line.contains("lace_token")));
        let odd = JoinTicket { controllers: vec!["x'; rm -rf /;'".into()], ..ticket() };
        assert!(script(&odd, &Source::Controller, "ab12").is_err());
    }
}
