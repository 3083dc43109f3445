// Markdown of a model -> elements. HTML in it is shown as text, except for some tags without attributes; of the result only the tags and
// attributes below pass. So an answer can neither run anything, load anything of another site, nor look like a part of the console.
"use strict";

const PLAIN_TAG = /^\s*<\/?(?:b|br|details|del|em|i|ins|kbd|mark|s|strong|sub|summary|sup|u)\s*\/?>\s*$/i;
const asText = (html) => html.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const MARKDOWN = {
  ALLOWED_TAGS: [
    ..."a b blockquote br code dd del details dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre s strong sub summary sup".split(" "),
    ..."table tbody td tfoot th thead tr u ul".split(" "),
  ],
  ALLOWED_ATTR: ["align", "alt", "colspan", "href", "open", "rowspan", "src", "start", "title"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

DOMPurify.addHook("uponSanitizeAttribute", (element, attribute) => {
  if (attribute.attrName === "src" && !attribute.attrValue.startsWith("data:image/")) attribute.keepAttr = false;
});
DOMPurify.addHook("afterSanitizeAttributes", (element) => {
  if (element.tagName === "A") {
    element.target = "_blank";
    element.rel = "noopener noreferrer nofollow";
  }
  if (element.tagName === "PRE") element.tabIndex = 0;
});
marked.use({
  gfm: true,
  renderer: {
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    html: ({ text }) => (PLAIN_TAG.test(text) ? text : asText(text)),
  },
});

function showMarkdown(element, text) {
  element.replaceChildren(DOMPurify.sanitize(marked.parse(text), MARKDOWN));
}
