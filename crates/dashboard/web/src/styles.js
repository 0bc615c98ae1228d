// Strict policies allow style sheets that scripts construct, and no style elements or attributes. xterm.js makes both;
// here they become constructed sheets and properties.

const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style" && this.style) this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

/** A document whose style elements are constructed sheets. */
export function strictDocument() {
  const make = document.createElement.bind(document);
  document.createElement = (name, options) => (name.toLowerCase() === "style" ? styleLike(make) : make(name, options));
  return document;
}

function styleLike(make) {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  const element = make("template");
  const gone = element.remove.bind(element);
  Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text), get: () => "" });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    gone();
  };
  return element;
}

/** Loads a style sheet of the bundle. */
export function load(name) {
  return new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = new URL(name, import.meta.url);
    link.onload = link.onerror = resolve;
    document.head.append(link);
  });
}
