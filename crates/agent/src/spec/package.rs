//! What a package puts into its nodes: rendered templates, and what its scripts find in their environment.

use crate::context::{Context, OfPackage};
use lace_machine::FileSpec;
use lace_model::Digest;
use lace_model::package::{PACKAGE_HOME, Package, Value, render};
use std::collections::BTreeMap;
use std::path::Path;

/// The templates of the node's role, rendered over its context. What is asked for below /run stays off the disk.
pub fn files(context: &Context, layer: Option<&Path>) -> Result<Vec<FileSpec>, String> {
    let (Some(of), Some(layer)) = (context.package(), layer) else { return Ok(Vec::new()) };
    let home = layer.join(PACKAGE_HOME.trim_start_matches('/'));
    let document = context.document();
    let is_mine = |roles| of.role.as_ref().is_some_and(|role| Package::is_for(roles, role));
    let file = |(path, template): (&String, &lace_model::package::Template)| {
        let read = std::fs::read_to_string(home.join(&template.from));
        let text = read.map_err(|e| format!("template {}: {e}", template.from))?;
        let content = render(&template.from, &text, &document)?.into_bytes();
        let tmpfs = path.starts_with("/run/");
        Ok(FileSpec { path: path.into(), mode: template.mode, owner: None, content, tmpfs })
    };
    of.used.templates.iter().filter(|(_, template)| is_mine(&template.roles)).map(file).collect()
}

/// What a node is to be notified of: what was rendered for it, and who the nodes of its service are. A process that takes
/// templates anew looks at nothing else.
pub fn told(context: &Context, templates: &[FileSpec]) -> Option<Digest> {
    let of = context.package()?;
    let texts: Vec<_> = templates.iter().map(|file| (&file.path, Digest::of(&file.content))).collect();
    if of.used.reload.is_some() {
        return Some(Digest::of_value(&texts));
    }
    Some(Digest::of_value(&(texts, of.members(), &of.used.settings, &of.used.ports, context.links())))
}

/// What scripts know without reading the context.
pub fn environment(of: &OfPackage, secrets: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let variable = |kind: &str, name: &str| format!("LACE_{kind}_{}", name.to_uppercase().replace('-', "_"));
    let settings = of.used.settings.iter().map(|(name, value)| (variable("SETTING", name), said(value)));
    let ports = of.used.ports.iter().map(|(name, port)| (variable("PORT", name.as_str()), port.to_string()));
    let passwords = of.used.passwords.iter();
    let passwords = passwords
        .filter_map(|(name, of)| Some((variable("PASSWORD", name.as_str()), secrets.get(of)?.clone())));
    let own = [("LACE_APP", of.app.to_string()), ("LACE_SERVICE", of.service.to_string())];
    let role = of.role.iter().map(|role| ("LACE_ROLE".to_owned(), role.to_string()));
    let own = own.map(|(name, value)| (name.to_owned(), value));
    settings.chain(ports).chain(passwords).chain(own).chain(role).collect()
}

/// A value as scripts see it: a text without quotes.
fn said(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
