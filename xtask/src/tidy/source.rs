//! A Rust file taken apart: its words, its imports, its texts, its functions,
//! and which of its lines are tests.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;
use super::tree::Tree;

pub struct Source {
    pub path: String,
    /// The whole file is a test: in tests/ or benches/, or named so.
    pub is_test: bool,
    pub lines: usize,
    pub words: Vec<Word>,
    /// What `use` brings in, each path written out.
    pub imports: Vec<Import>,
    pub literals: Vec<Word>,
    pub functions: Vec<Function>,
    test_lines: Vec<RangeInclusive<usize>>,
}

/// A token of the code (`::` is one), or the value of a string literal.
pub struct Word {
    pub text: String,
    pub line: usize,
}

pub struct Import {
    pub words: Vec<String>,
    pub line: usize,
}

pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// All Rust files of the tree, and what could not be parsed.
pub fn parse_all(tree: &Tree) -> (Vec<Source>, Vec<Finding>) {
    let (mut sources, mut findings) = (Vec::new(), Vec::new());
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".rs")) {
        match Source::parse(path, text) {
            Ok(source) => sources.push(source),
            Err(error) => {
                let (line, what) = (error.span().start().line, format!("does not parse: {error}"));
                findings.push(Finding::new(path, line, "Rust that parses", what, "cargo check"));
            }
        }
    }
    (sources, findings)
}

impl Source {
    pub fn parse(path: &str, text: &str) -> syn::Result<Self> {
        let mut reader = Reader::default();
        reader.visit_file(&syn::parse_file(text)?);
        let (mut words, mut literals) = (Vec::new(), Vec::new());
        flatten(text.parse::<TokenStream>()?, &mut words, &mut literals);
        Ok(Self {
            path: path.to_owned(),
            is_test: is_test_path(path),
            lines: text.lines().count(),
            words,
            imports: reader.imports,
            literals,
            functions: reader.functions,
            test_lines: reader.test_lines,
        })
    }

    pub fn is_test_at(&self, line: usize) -> bool {
        self.is_test || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Lines that are not inside `#[cfg(test)]`.
    pub fn lines_of_code(&self) -> usize {
        let tests: usize = self.test_lines.iter().map(|lines| lines.end() - lines.start() + 1).sum();
        self.lines.saturating_sub(tests)
    }
}

fn is_test_path(path: &str) -> bool {
    let is_test = |part: &str| matches!(part, "tests" | "benches" | "tests.rs");
    path.split('/').any(is_test)
}

fn flatten(stream: TokenStream, words: &mut Vec<Word>, literals: &mut Vec<Word>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) if is_doc(&group) => {}
            TokenTree::Group(group) => flatten(group.stream(), words, literals),
            TokenTree::Literal(literal) => {
                if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                    literals.push(Word { text: text.value(), line });
                }
                words.push(Word { text: String::new(), line });
            }
            other => push_word(words, other.to_string(), line),
        }
    }
}

/// The inside of `#[doc = "..."]`, which is what a doc comment is.
fn is_doc(group: &proc_macro2::Group) -> bool {
    let first = group.stream().into_iter().next();
    let named = matches!(first, Some(TokenTree::Ident(name)) if name == "doc");
    named && group.delimiter() == Delimiter::Bracket
}

fn push_word(words: &mut Vec<Word>, text: String, line: usize) {
    match words.last_mut() {
        Some(last) if text == ":" && last.text == ":" => last.text.push(':'),
        _ => words.push(Word { text, line }),
    }
}

#[derive(Default)]
struct Reader {
    imports: Vec<Import>,
    functions: Vec<Function>,
    test_lines: Vec<RangeInclusive<usize>>,
}

impl Reader {
    /// Remembers a test's lines and says that there is no need to look inside.
    fn skips(&mut self, attributes: &[syn::Attribute], item: &impl Spanned) -> bool {
        let is_test = attributes.iter().any(is_cfg_test);
        if is_test {
            self.test_lines.push(item.span().start().line..=item.span().end().line);
        }
        is_test
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = signature.span().start().line;
        let lines = block.span().end().line - line + 1;
        self.functions.push(Function { name: signature.ident.to_string(), line, lines });
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !self.skips(attributes_of(item), item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(function) => &function.attrs[..],
            _ => &[],
        };
        if !self.skips(attributes, item) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        spell_out(&item.tree, &mut Vec::new(), &mut self.imports);
    }
}

fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, also inside `any` and `all`; `not(test)` is code.
fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let mut words = Vec::new();
    flatten(list.tokens.clone(), &mut words, &mut Vec::new());
    let says = |word: &str| words.iter().any(|one| one.text == word);
    list.path.is_ident("cfg") && says("test") && !says("not")
}

/// `use a::{b, c as d}` is `a::b` and `a::c`.
fn spell_out(tree: &syn::UseTree, before: &mut Vec<String>, imports: &mut Vec<Import>) {
    match tree {
        syn::UseTree::Path(path) => {
            before.extend([path.ident.to_string(), "::".to_owned()]);
            spell_out(&path.tree, before, imports);
            before.truncate(before.len() - 2);
        }
        syn::UseTree::Group(group) => {
            group.items.iter().for_each(|item| spell_out(item, before, imports));
        }
        syn::UseTree::Name(name) => imports.push(import(before, &name.ident)),
        syn::UseTree::Rename(rename) => imports.push(import(before, &rename.ident)),
        syn::UseTree::Glob(glob) => {
            let line = glob.span().start().line;
            imports.push(Import { words: before.clone(), line });
        }
    }
}

fn import(before: &[String], last: &syn::Ident) -> Import {
    let words = before.iter().cloned().chain([last.to_string()]).collect();
    Import { words, line: last.span().start().line }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
//! UPDATE of a doc comment is no text
use a::{b::C, d as e};
fn one() {
    run(\"SELECT 1\");
}
#[cfg(test)]
mod tests {
    fn two() {}
}
impl X {
    fn three(&self) { a::b() }
    #[cfg(any(test, feature = \"fake\"))]
    fn four(&self) {}
}
";

    fn source() -> Source {
        Source::parse("crates/x/src/a.rs", TEXT).unwrap()
    }

    #[test]
    fn functions_are_measured_and_tests_left_out() {
        let functions = source().functions;
        let found: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(found, [("one", 4, 3), ("three", 12, 1)]);
        assert_eq!(source().lines_of_code(), 15 - 4 - 2);
    }

    #[test]
    fn imports_are_written_out() {
        let found: Vec<_> = source().imports.iter().map(|one| one.words.concat()).collect();
        assert_eq!(found, ["a::b::C", "a::d"]);
    }

    #[test]
    fn literals_are_texts_and_not_documentation() {
        let found: Vec<_> = source().literals.iter().map(|one| one.text.clone()).collect();
        assert_eq!(found, ["SELECT 1", "fake"]);
    }
}
