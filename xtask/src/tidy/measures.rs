//! How long things are. Tests are free; an exemption has a name and a reason.

use std::collections::BTreeMap;

use super::architecture::{Architecture, Exempt, FILE, Measures};
use super::source::{Function, Source};
use super::{Finding, Report};

const RULE: &str = "measures";
/// Below this many functions a share says nothing.
const SHARE_FUNCTIONS_MIN: usize = 20;

pub fn check(sources: &[Source], architecture: &Architecture, report: &mut Report) {
    let (measures, exempt) = (&architecture.measures, &architecture.exempt);
    let code: Vec<&Source> = sources.iter().filter(|source| !source.is_test).collect();
    for source in &code {
        check_file(source, measures, exempt, report);
        let long = source.functions.iter().filter(|f| f.lines > measures.function_lines_max);
        let named = long.filter(|f| !is_exempt(exempt, &source.path, Some(&f.name)));
        report.errors.extend(named.map(|function| long_function(source, function, measures)));
    }
    report.errors.extend(check_shares(&code, measures, exempt));
    report.errors.extend(exempt.iter().filter_map(|one| check_exempt(one, &code, measures)));
    report.measured = summary(&code, measures);
}

fn check_file(source: &Source, measures: &Measures, exempt: &[Exempt], report: &mut Report) {
    let lines = source.lines_of_code();
    if lines <= measures.file_lines_warn || is_exempt(exempt, &source.path, None) {
        return;
    }
    let what = format!(
        "{lines} lines without tests; {} is much, {} is the limit",
        measures.file_lines_warn, measures.file_lines_max
    );
    let mend = "split it by verb: one file for each thing that it does";
    let finding = Finding::new(&source.path, 1, RULE, what, mend);
    let over = lines > measures.file_lines_max;
    if over { &mut report.errors } else { &mut report.warnings }.push(finding);
}

fn long_function(source: &Source, function: &Function, measures: &Measures) -> Finding {
    let what = format!(
        "function `{}` has {} lines, the limit is {}",
        function.name, function.lines, measures.function_lines_max
    );
    let mend = format!("let it tell the story and move the leaves out, or exempt it in {FILE}");
    Finding::new(&source.path, function.line, RULE, what, &mend)
}

/// Nine of ten functions of each package are short.
fn check_shares(code: &[&Source], measures: &Measures, exempt: &[Exempt]) -> Vec<Finding> {
    let mut packages: BTreeMap<String, Vec<(&Source, &Function)>> = BTreeMap::new();
    for source in code {
        let counted = source.functions.iter().filter(|f| !is_exempt(exempt, &source.path, Some(&f.name)));
        let package = packages.entry(package_of(&source.path)).or_default();
        package.extend(counted.map(|function| (*source, function)));
    }
    packages.iter().filter_map(|(package, all)| check_share(package, all, measures)).collect()
}

fn check_share(package: &str, all: &[(&Source, &Function)], measures: &Measures) -> Option<Finding> {
    let usual = measures.function_lines_usual;
    let longest = all.iter().max_by_key(|(_, function)| function.lines)?;
    let share = share_up_to(usual, all.iter().map(|(_, function)| *function));
    if all.len() < SHARE_FUNCTIONS_MIN || share >= measures.function_share_usual {
        return None;
    }
    let what = format!(
        "in {package} only {:.0} % of {} functions have at most {usual} lines; `{}` is the longest",
        share * 100.0,
        all.len(),
        longest.1.name
    );
    let mend = "split the longest ones, from the top of the story downwards";
    Some(Finding::new(&longest.0.path, longest.1.line, RULE, what, mend))
}

fn share_up_to<'a>(lines: usize, functions: impl Iterator<Item = &'a Function> + Clone) -> f64 {
    let short = functions.clone().filter(|function| function.lines <= lines).count();
    let all = functions.count().max(1);
    short as f64 / all as f64
}

fn package_of(path: &str) -> String {
    let deep = if path.starts_with("crates/") { 2 } else { 1 };
    path.split('/').take(deep).collect::<Vec<_>>().join("/")
}

fn is_exempt(exempt: &[Exempt], path: &str, function: Option<&str>) -> bool {
    exempt.iter().any(|one| one.file == path && one.function.as_deref() == function)
}

/// An exemption has a reason, and something to exempt.
fn check_exempt(exempt: &Exempt, code: &[&Source], measures: &Measures) -> Option<Finding> {
    let name = exempt.function.as_deref();
    let named = format!("{}{}", exempt.file, name.map(|f| format!(", `{f}`")).unwrap_or_default());
    if exempt.reason.trim().is_empty() {
        let what = format!("the exemption of {named} has no reason");
        return Some(Finding::new(FILE, 1, RULE, what, "say why it may be longer"));
    }
    let source = code.iter().find(|source| source.path == exempt.file);
    let needed = source.is_some_and(|source| match name {
        None => source.lines_of_code() > measures.file_lines_warn,
        Some(name) => {
            let same = source.functions.iter().filter(|function| function.name == name);
            same.map(|function| function.lines).max() > Some(measures.function_lines_usual)
        }
    });
    let what = format!("the exemption of {named} is not needed");
    (!needed).then(|| Finding::new(FILE, 1, RULE, what, "take it out"))
}

fn summary(code: &[&Source], measures: &Measures) -> String {
    let functions = code.iter().flat_map(|source| source.functions.iter());
    let usual = measures.function_lines_usual;
    let share = share_up_to(usual, functions.clone()) * 100.0;
    let lines: usize = code.iter().map(|source| source.lines_of_code()).sum();
    let (files, count) = (code.len(), functions.count());
    format!("{files} files, {lines} lines, {count} functions, {share:.1} % of them at most {usual} lines")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn architecture(exempt: &str) -> Architecture {
        let text = format!(
            "{exempt}
            [crates]
            [lock]
            refused = []
            single = []
            [measures]
            function_lines_max = 7
            function_lines_usual = 4
            function_share_usual = 0.9
            file_lines_max = 20
            file_lines_warn = 10"
        );
        Architecture::parse(&text).unwrap()
    }

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "f();\n".repeat(lines - 2))
    }

    fn report(text: &str, exempt: &str) -> (Vec<String>, Vec<String>) {
        let source = Source::parse("crates/x/src/a.rs", text).unwrap();
        let mut report = Report::default();
        check(&[source], &architecture(exempt), &mut report);
        let whats = |findings: Vec<Finding>| findings.into_iter().map(|f| f.what).collect();
        (whats(report.errors), whats(report.warnings))
    }

    #[test]
    fn a_long_function_is_an_error_and_may_be_exempt() {
        let long = function("long", 8);
        assert_eq!(report(&long, "").0, ["function `long` has 8 lines, the limit is 7"]);
        let exempt = "[[exempt]]\nfile = \"crates/x/src/a.rs\"\nfunction = \"long\"\nreason = \"a table\"";
        assert_eq!(report(&long, exempt).0, [] as [String; 0]);
    }

    #[test]
    fn an_exemption_that_is_not_needed_is_an_error() {
        let exempt = "[[exempt]]\nfile = \"crates/x/src/a.rs\"\nfunction = \"short\"\nreason = \"a table\"";
        let what = "the exemption of crates/x/src/a.rs, `short` is not needed";
        assert_eq!(report(&function("short", 2), exempt).0, [what]);
    }

    #[test]
    fn a_file_is_warned_of_and_then_refused() {
        let (errors, warnings) = report(&function("a", 4).repeat(3), "");
        assert_eq!((errors.len(), warnings.len()), (0, 1));
        let (errors, warnings) = report(&function("a", 4).repeat(6), "");
        assert_eq!((errors.len(), warnings.len()), (1, 0));
    }

    #[test]
    fn tests_do_not_count() {
        let text = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function("long", 30));
        assert_eq!(report(&text, ""), (vec![], vec![]));
    }

    #[test]
    fn nine_of_ten_functions_are_short() {
        let mut text = (0..17).map(|n| format!("fn f{n}() {{}} ")).collect::<String>();
        text.extend((0..3).map(|n| function(&format!("g{n}"), 5)));
        let what = "in crates/x only 85 % of 20 functions have at most 4 lines; `g2` is the longest";
        assert!(report(&text, "").0.contains(&what.to_owned()), "{:?}", report(&text, ""));
    }
}
