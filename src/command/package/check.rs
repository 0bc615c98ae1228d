//! `lace package check`: everything that is wrong with a package, at once.

use super::shellcheck;
use crate::command::session::cannot_write;
use crate::command::{Exit, Outcome, Session};
use clap::Args;
use lace_model::Problem;
use lace_model::package::Package;
use lace_release::package::{
    GOLDEN, Looked, PACKAGE_LIMITS, Rendering, faults, look_at, refusal, renderings,
};
use lace_release::{Packed, read_dir};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// `lace package check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The package's directory
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Write the golden files as the templates become now
    #[arg(long)]
    pub bless: bool,
}

/// What a good package consists of.
#[derive(Serialize)]
struct Report {
    package: String,
    scripts: usize,
    templates: usize,
    settings: usize,
    golden: usize,
    remarks: Vec<String>,
}

/// Runs `lace package check`.
pub(super) async fn run(args: CheckArgs, s: &mut Session) -> Outcome {
    let dir = s.at(&args.dir);
    if !dir.is_dir() {
        return Err(Problem::not_found(format_args!("directory {}", args.dir.display()))
            .hint("lace package check DIR, or: lace package new NAME"));
    }
    if args.bless {
        let written = write_golden(&dir)?;
        s.out.note(format!("{written} golden files are written"));
    }
    let (packed, mut looked) = look(&dir)?;
    let (rendered, wrong) = rendered(&looked.package, &packed)?;
    looked.mistakes.extend(wrong);
    looked.mistakes.extend(golden_faults(&rendered, &packed)?);
    match shellcheck::run(&dir, &looked.shells).await {
        Ok(lines) => looked.mistakes.extend(lines),
        Err(why) => looked.remarks.push(why),
    }
    answer(looked, rendered.len(), s)
}

fn look(dir: &Path) -> Result<(Packed, Looked), Problem> {
    let packed = read_dir(dir, &PACKAGE_LIMITS).map_err(|e| e.problem())?;
    let looked = look_at(&packed.tree, &packed.chunks)?;
    Ok((packed, looked))
}

fn rendered(package: &Package, packed: &Packed) -> Result<(Vec<Rendering>, Vec<String>), Problem> {
    renderings(package, &packed.tree, &packed.chunks).map_err(|e| e.problem())
}

fn golden_faults(rendered: &[Rendering], packed: &Packed) -> Result<Vec<String>, Problem> {
    let (mut lines, stale) = faults(rendered, &packed.tree, &packed.chunks).map_err(|e| e.problem())?;
    lines.extend(stale.into_iter().map(|path| format!("{path}: no template makes it")));
    let hint = "(if that is right: --bless)";
    Ok(lines.into_iter().map(|line| format!("{line} {hint}")).collect())
}

fn answer(looked: Looked, golden: usize, s: &mut Session) -> Outcome {
    if !looked.mistakes.is_empty() {
        looked.remarks.iter().for_each(|remark| s.out.note(format!("remark: {remark}")));
        return Err(refusal(&looked.package, looked.mistakes));
    }
    let package = &looked.package;
    let report = Report {
        package: package.key(),
        scripts: package.scripts.len() + package.actions.len(),
        templates: package.templates.len(),
        settings: package.settings.len(),
        golden,
        remarks: looked.remarks,
    };
    s.out.item(&report, picture);
    Ok(Exit::DONE)
}

fn picture(report: &Report) -> String {
    let Report { package, scripts, templates, settings, golden, remarks } = report;
    let mut text = format!(
        "package {package} is good: {scripts} scripts, {templates} templates, {settings} settings, {golden} golden files\n"
    );
    remarks.iter().for_each(|remark| text.push_str(&format!("  remark: {remark}\n")));
    text
}

/// Writes what the templates of a package become, and takes away golden files that no template makes; says how many were
/// written.
pub(super) fn write_golden(dir: &Path) -> Result<usize, Problem> {
    let (packed, looked) = look(dir)?;
    let (rendered, _) = rendered(&looked.package, &packed)?;
    let (_, stale) = faults(&rendered, &packed.tree, &packed.chunks).map_err(|e| e.problem())?;
    for path in stale {
        let path = dir.join(path);
        std::fs::remove_file(&path).map_err(|e| cannot_write(&path, &e))?;
    }
    for Rendering { path, text } in &rendered {
        let path = dir.join(path);
        let parent = path.parent().unwrap_or(dir);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        written.map_err(|e| cannot_write(&path, &e))?;
    }
    debug_assert!(rendered.iter().all(|one| one.path.starts_with(GOLDEN)));
    Ok(rendered.len())
}
