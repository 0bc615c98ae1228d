//! Which certificates shall be obtained, from whom, and when: nothing is asked of an authority that is not due, and one
//! that refuses is asked less and less often.

use lace_model::authority::{Obtaining, is_public};
use lace_model::certificate::{Certificate, CertificateSource};
use lace_model::family::Application;
use lace_model::route::{RouteSpec, RouteTls};
use lace_model::{Digest, Millis};
use std::collections::BTreeMap;

const SECOND_MS: Millis = 1_000;
const MINUTE_MS: Millis = 60 * SECOND_MS;
const HOUR_MS: Millis = 60 * MINUTE_MS;
/// Pauses after tries that failed, the last one again and again. Public authorities bear five failed validations of a
/// name in an hour; the fifth try here comes after 81 minutes.
const PAUSES_MS: [Millis; 7] =
    [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 12 * HOUR_MS, 24 * HOUR_MS];
/// A pause is longer by up to this part of itself, so that many names do not come back at once.
const SPREAD: u64 = 4;
/// What an authority says about when to come back is believed up to here.
const LATER_MAX_MS: Millis = 7 * 24 * HOUR_MS;

/// From whom each host name of an application's routes shall have its certificate. What says `internal` once, gets it
/// from our own authority for all its routes.
pub fn wishes<'a>(
    routes: impl IntoIterator<Item = &'a RouteSpec>,
    has_authority: bool,
) -> BTreeMap<String, CertificateSource> {
    let mut wishes = BTreeMap::new();
    for route in routes.into_iter().filter(|route| route.listen.is_none()) {
        let Some(host) = &route.host else { continue };
        match route.tls {
            RouteTls::Internal => drop(wishes.insert(host.clone(), CertificateSource::Internal)),
            RouteTls::Auto if has_authority && is_public(host) => {
                wishes.entry(host.clone()).or_insert(CertificateSource::Acme);
            }
            RouteTls::Auto | RouteTls::Off => {}
        }
    }
    wishes
}

/// What is to be done about an application's certificates.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Errands {
    /// To be obtained now.
    pub due: Vec<(String, CertificateSource)>,
    /// When something else is due.
    pub next_at: Option<Millis>,
    /// Host names that are no longer wished for, or have what was wished.
    pub settled: Vec<String>,
    /// Obtained, over, and wished for by nobody.
    pub over: Vec<String>,
}

/// Looks at one application.
pub fn errands(app: &Application, wishes: &BTreeMap<String, CertificateSource>, now: Millis) -> Errands {
    let mut errands = Errands::default();
    for (host, source) in wishes.iter().filter(|_| !app.deleting) {
        let entry = app.obtaining.iter().find(|o| o.host == *host);
        let due_at = match entry {
            Some(entry) if entry.asked => entry.next_at,
            entry => due_at(&app.certificates, host, *source, now).max(entry.map_or(0, |o| o.next_at)),
        };
        if due_at <= now {
            errands.due.push((host.clone(), *source));
        } else {
            errands.next_at = Some(errands.next_at.map_or(due_at, |at: Millis| at.min(due_at)));
        }
    }
    let is_settled = |o: &&Obtaining| {
        let is_due = |source| o.asked || due_at(&app.certificates, &o.host, source, now) <= now;
        wishes.get(&o.host).is_none_or(|source| !is_due(*source))
    };
    errands.settled = app.obtaining.iter().filter(is_settled).map(|o| o.host.clone()).collect();
    let is_over =
        |c: &&Certificate| !c.source.is_given() && c.not_after <= now && !wishes.contains_key(&c.host);
    errands.over = app.certificates.iter().filter(is_over).map(|c| c.host.clone()).collect();
    errands
}

/// When the next certificate of a host name is due. What a person gave stands as long as it is good.
fn due_at(held: &[Certificate], host: &str, source: CertificateSource, now: Millis) -> Millis {
    let given = held.iter().filter(|c| c.source.is_given() && c.covers(host) && c.not_after > now);
    let given = given.map(|c| c.not_after).max();
    let own = held.iter().find(|c| c.host == host && c.source == source).map(renew_at);
    given.into_iter().chain(own).max().unwrap_or(0)
}

/// A certificate that we obtained is renewed when two thirds of its time are over, a little earlier for some than for
/// others.
pub fn renew_at(certificate: &Certificate) -> Millis {
    let lifetime = certificate.not_after.saturating_sub(certificate.not_before);
    let early = part(&certificate.digest.to_string(), lifetime / 24);
    certificate.not_before + lifetime / 3 * 2 - early
}

/// When it is tried again after so many failures, the last one just now. `later` is what the authority says itself.
pub fn try_again_at(host: &str, failures: u32, later: Option<Millis>, now: Millis) -> Millis {
    let at = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES_MS.len() - 1);
    let pause = PAUSES_MS[at] + part(&format!("{host} {failures}"), PAUSES_MS[at] / SPREAD);
    now + pause.max(later.unwrap_or(0).min(LATER_MAX_MS))
}

/// A part of `most` that always is the same for the same text.
fn part(text: &str, most: u64) -> u64 {
    let bytes = Digest::of(text.as_bytes()).0;
    let drawn = u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    // At most a few years in milliseconds times 2^32: far from the end of 128 bits.
    u64::try_from((u128::from(most) * u128::from(drawn)) >> 32).unwrap_or(most)
}

/// What `lace why` and `lace route` say of a certificate that is not there yet.
pub fn told(obtaining: &Obtaining, now: Millis) -> String {
    let from = match obtaining.source {
        CertificateSource::Internal => "the installation's authority",
        _ => "the authority",
    };
    let left = lace_model::Span(obtaining.next_at.saturating_sub(now) / SECOND_MS * SECOND_MS);
    match &obtaining.cause {
        Some(cause) if obtaining.next_at > now && !obtaining.claimed => {
            format!(
                "no certificate for {}: {cause}; tried {} times, again in {left}",
                obtaining.host, obtaining.failures
            )
        }
        Some(cause) => format!("a certificate for {} is tried again; before: {cause}", obtaining.host),
        None => format!("a certificate for {} is asked of {from}", obtaining.host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: Millis = 24 * HOUR_MS;

    fn certificate(host: &str, source: CertificateSource, days: u64) -> Certificate {
        Certificate {
            host: host.into(),
            names: vec![host.to_owned()],
            not_before: 0,
            not_after: days * DAY_MS,
            issuer: String::new(),
            digest: Digest::of(host.as_bytes()),
            version: 1,
            added_at: 0,
            warned_days: None,
            source,
        }
    }

    fn route(host: &str, tls: RouteTls) -> RouteSpec {
        RouteSpec { host: Some(host.into()), tls, ..RouteSpec::new(80) }
    }

    fn app(certificates: Vec<Certificate>) -> Application {
        Application { certificates, ..Application::new("shop".parse().expect("a name"), 0) }
    }

    #[test]
    fn routes_say_from_whom_their_certificates_come() {
        use CertificateSource::{Acme, Internal};
        let routes = [
            route("a.example.com", RouteTls::Auto),
            route("b.example.com", RouteTls::Off),
            route("c.example.com", RouteTls::Internal),
            route("a.local", RouteTls::Auto),
            RouteSpec { listen: Some(5432), ..route("d.example.com", RouteTls::Auto) },
            RouteSpec { path: "/x".into(), ..route("c.example.com", RouteTls::Auto) },
            RouteSpec::new(80),
        ];
        let said = |has| wishes(&routes, has).into_iter().collect::<Vec<_>>();
        assert_eq!(said(true), [("a.example.com".into(), Acme), ("c.example.com".into(), Internal)]);
        assert_eq!(said(false), [("c.example.com".into(), Internal)]);
    }

    #[test]
    fn what_is_due_and_what_is_not() {
        use CertificateSource::{Acme, Given, Internal};
        let host = "a.example.com";
        // What is held, what is wished, the day, is it due?
        let table = [
            (vec![], Acme, 0, true),
            (vec![certificate(host, Given, 90)], Acme, 80, false),
            (vec![certificate(host, Given, 90)], Acme, 91, true),
            (vec![certificate("*.example.com", Given, 90)], Acme, 80, false),
            (vec![certificate(host, Acme, 90)], Acme, 50, false),
            (vec![certificate(host, Acme, 90)], Acme, 60, true),
            (vec![certificate(host, Acme, 90)], Internal, 1, true),
            (vec![certificate(host, Internal, 90)], Internal, 1, false),
        ];
        for (held, source, day, expected) in table {
            let wishes = BTreeMap::from([(host.to_owned(), source)]);
            let errands = errands(&app(held.clone()), &wishes, day * DAY_MS);
            assert_eq!(errands.due.len() == 1, expected, "{held:?} {source:?} {day}");
            assert_eq!(errands.next_at.is_some(), !expected);
        }
    }

    #[test]
    fn nothing_is_asked_before_its_pause_is_over() {
        let host = "a.example.com".to_owned();
        let wishes = BTreeMap::from([(host.clone(), CertificateSource::Acme)]);
        let obtaining = Obtaining {
            host: host.clone(),
            source: CertificateSource::Acme,
            failures: 1,
            next_at: 100,
            cause: Some("it said no".into()),
            challenge: None,
            asked: false,
            claimed: false,
        };
        let mut app = Application { obtaining: vec![obtaining], ..app(Vec::new()) };
        assert_eq!(errands(&app, &wishes, 99), Errands { next_at: Some(100), ..Errands::default() });
        assert_eq!(errands(&app, &wishes, 100).due.len(), 1);
        assert_eq!(
            errands(&app, &BTreeMap::new(), 1).settled,
            std::slice::from_ref(&host),
            "nobody wishes for it"
        );
        app.certificates.push(certificate(&host, CertificateSource::Acme, 90));
        assert_eq!(errands(&app, &wishes, 1).settled, std::slice::from_ref(&host), "it is there");
        app.obtaining[0].asked = true;
        let asked = errands(&app, &wishes, 100);
        assert_eq!((asked.due.len(), asked.settled.len()), (1, 0), "somebody wants it now");
        assert!(errands(&app, &wishes, 91 * DAY_MS).over.is_empty());
        assert_eq!(errands(&app, &BTreeMap::new(), 91 * DAY_MS).over, [host]);
    }

    #[test]
    fn pauses_grow_and_authorities_are_believed() {
        let pause = |failures, later| try_again_at("a.example.com", failures, later, 0);
        let mut last = 0;
        for (failures, least) in (1..).zip(PAUSES_MS) {
            let now = pause(failures, None);
            assert!((least..=least / 4 * 5).contains(&now), "{failures}: {now}");
            assert!(now > last);
            last = now;
        }
        assert!(pause(1_000, None) >= PAUSES_MS[6]);
        assert_eq!(pause(1, Some(2 * HOUR_MS)), 2 * HOUR_MS);
        assert_eq!(pause(1, Some(Millis::MAX)), LATER_MAX_MS);
        let fifth: Millis = (1..5).map(|n| pause(n, None)).sum();
        assert!(fifth > HOUR_MS, "five failures in an hour are too many for public authorities");
    }

    #[test]
    fn two_thirds_of_its_time_pass_at_most() {
        for (host, days) in [("a.b", 90), ("b.c", 6), ("c.d", 1)] {
            let at = renew_at(&certificate(host, CertificateSource::Acme, days));
            assert!((days * DAY_MS / 24 * 15..=days * DAY_MS / 3 * 2).contains(&at), "{host} {at}");
        }
    }
}
